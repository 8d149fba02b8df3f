package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/gob"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

type mover struct {
	role      string
	root      string
	forwardTo string
	tunnel    *tunnel

	known   remembered
	mutex   sync.Mutex
	running map[string]*run // by claim
}

func (m *mover) volume(claim string) string {
	return m.root + "/" + claim
}

// knows: a claim is a name below /volumes that is mounted here, and nothing that leads elsewhere.
func (m *mover) knows(claim string) bool {
	info, err := os.Stat(m.volume(claim))
	return claim != "" && !strings.ContainsAny(claim, "/\x00") && claim[0] != '.' && err == nil && info.IsDir()
}

func (m *mover) privileged() bool {
	return os.Geteuid() == 0
}

// accept does what the other end opened a stream for. Only the target lets its volumes be changed.
func (m *mover) accept(stream io.ReadWriteCloser) {
	defer stream.Close()
	reader := bufio.NewReaderSize(stream, 64<<10)
	var greeting hello
	if err := gob.NewDecoder(reader).Decode(&greeting); err != nil {
		return
	}
	if err := m.answer(greeting, stream, reader); err != nil && !errors.Is(err, io.EOF) {
		log.Printf("%s %s: %v", greeting.Kind, greeting.Claim, err)
	}
}

func (m *mover) answer(greeting hello, stream io.ReadWriteCloser, reader *bufio.Reader) error {
	switch greeting.Kind {
	case "sink":
		n, err := io.Copy(io.Discard, reader)
		log.Printf("took %d bytes of a measurement", n)
		return err
	case "flow":
		return flow(stream, 0)
	case "forward":
		return m.forwarded(stream, reader)
	}
	if m.role != "target" || !m.knows(greeting.Claim) {
		return errors.New("refused: no such volume here to change")
	}
	switch greeting.Kind {
	case "list":
		return m.list(greeting, stream)
	case "apply":
		from, decoder, end, err := newReceiver(reader, greeting.Compress)
		if err != nil {
			return err
		}
		defer end()
		return m.apply(greeting, from, decoder, gob.NewEncoder(stream))
	case "rsync":
		return m.rsync(greeting, stream, reader)
	}
	return errors.New("refused: unknown request")
}

// flow writes random bytes until the other end has had enough, or for so long.
func flow(to io.Writer, length time.Duration) error {
	data := make([]byte, 1<<20)
	rand.Read(data)
	began := time.Now()
	for length == 0 || time.Since(began) < length {
		if _, err := to.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// forward listens for connections that come out at the source.
func (m *mover) forward(ctx context.Context, address string) error {
	return listen(ctx, "tcp", address, func(conn net.Conn) {
		stream, err := m.tunnel.open(ctx)
		if err == nil {
			err = gob.NewEncoder(stream).Encode(hello{Kind: "forward"})
		}
		if err != nil {
			log.Printf("a forwarded connection failed: %v", err)
			conn.Close()
			return
		}
		splice(stream, conn.(*net.TCPConn))
	})
}

func (m *mover) forwarded(stream io.ReadWriteCloser, reader *bufio.Reader) error {
	if m.role != "source" || m.forwardTo == "" {
		return errors.New("refused: nothing is forwarded here")
	}
	conn, err := net.DialTimeout("tcp", m.forwardTo, handshakePatience)
	if err != nil {
		return err
	}
	splice(&bufferedStream{stream, reader}, conn.(*net.TCPConn))
	return nil
}

type bufferedStream struct {
	io.ReadWriteCloser
	reader *bufio.Reader
}

func (b *bufferedStream) Read(data []byte) (int, error) { return b.reader.Read(data) }
