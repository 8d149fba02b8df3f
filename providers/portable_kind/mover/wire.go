package main

import (
	"bufio"
	"encoding/binary"
	"encoding/gob"
	"io"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// hello opens every stream: what the end that accepts it is to do.
type hello struct {
	Kind      string // list, apply, rsync, sink, flow, forward
	Claim     string
	Top       bool
	Hashed    bool
	Compress  bool
	Arguments []string
}

// operation changes the target. A file's content follows it as chunks, closed by a last one.
//
//	e  make the entry            t  mark it as outdated
//	m  make its attributes so    s  have everything on disk
//	h  make the hard link        f  say how full the disk is, as a failure does
//	x  remove it                 .  the end
type operation struct {
	Kind    byte
	Entry   entry
	Replace bool // what is there is of another kind and goes first
	Ack     bool // the sender waits for the reply
}

// reply: to an operation that asks for one, to one that failed, and to the end.
type reply struct {
	Failure *failure
	Fatal   bool
}

const (
	chunkSize = 256 << 10
	lastChunk = -1
	lostChunk = -2 // the source could not read the rest
)

// chunk heads a piece of a file: where it belongs and how long it is. Of the last one Offset is the file's size, Mtime its time.
type chunk struct{ Offset, Length, Mtime int64 }

func (c chunk) write(to io.Writer) error {
	var head [24]byte
	binary.BigEndian.PutUint64(head[0:], uint64(c.Offset))
	binary.BigEndian.PutUint64(head[8:], uint64(c.Length))
	binary.BigEndian.PutUint64(head[16:], uint64(c.Mtime))
	_, err := to.Write(head[:])
	return err
}

func readChunk(from io.Reader) (chunk, error) {
	var head [24]byte
	_, err := io.ReadFull(from, head[:])
	number := func(at int) int64 { return int64(binary.BigEndian.Uint64(head[at:])) }
	return chunk{number(0), number(8), number(16)}, err
}

// counted counts what goes over the connection.
type counted struct {
	io.Writer
	total *atomic.Int64
}

func (c counted) Write(data []byte) (int, error) {
	n, err := c.Writer.Write(data)
	c.total.Add(int64(n))
	return n, err
}

// sender is the source's half of a stream. Flush when there is nothing more to say for now.
type sender struct {
	*bufio.Writer
	gob  *gob.Encoder
	zstd *zstd.Encoder
}

// newSender says hello and then writes, compressed where hello says so.
func newSender(stream io.Writer, greeting hello) (*sender, error) {
	if err := gob.NewEncoder(stream).Encode(greeting); err != nil {
		return nil, err
	}
	made := &sender{}
	if greeting.Compress {
		made.zstd, _ = zstd.NewWriter(stream, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		stream = made.zstd
	}
	made.Writer = bufio.NewWriterSize(stream, 64<<10)
	made.gob = gob.NewEncoder(made.Writer)
	return made, nil
}

func (s *sender) Flush() error {
	err := s.Writer.Flush()
	if err == nil && s.zstd != nil {
		err = s.zstd.Flush()
	}
	return err
}

// close frees what compression holds.
func (s *sender) close() {
	if s.zstd != nil {
		s.zstd.Reset(io.Discard)
		s.zstd.Close()
	}
}

// newReceiver reads what a sender wrote after its hello. The reader and the decoder take turns.
func newReceiver(stream io.Reader, compressed bool) (*bufio.Reader, *gob.Decoder, func(), error) {
	end := func() {}
	if compressed {
		decoder, err := zstd.NewReader(stream, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, nil, err
		}
		stream, end = decoder, decoder.Close
	}
	reader := bufio.NewReaderSize(stream, chunkSize)
	return reader, gob.NewDecoder(reader), end, nil
}

// listSender writes entries one after the other.
type listSender struct {
	*bufio.Writer
	gob *gob.Encoder
}

func newListSender(stream io.Writer) *listSender {
	writer := bufio.NewWriterSize(stream, 64<<10)
	return &listSender{writer, gob.NewEncoder(writer)}
}

// end sends the listing's last word.
func (l *listSender) end(last entry) error {
	if err := l.gob.Encode(last); err != nil {
		return err
	}
	return l.Flush()
}
