package main

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// copying makes a volume of the target equal to the source's, in rounds: compare both ends' listings, send what differs, compare
// again. Folders get their times when nothing more is made in them, hard links when what they link to is there.
type copying struct {
	mover    *mover
	claim    string
	root     string
	top      bool
	final    bool
	compress bool
	streams  int
	began    time.Time

	filesDone, filesTotal, bytesDone, bytesTotal, sent, changed atomic.Int64
	listed                                                      atomic.Bool // the totals are whole

	mutex    sync.Mutex
	failures []*failure

	files, bytes int64 // of the whole volume, as the last listing has it
}

const (
	deltaFrom   = 1 << 20 // smaller files are sent whole
	liveRounds  = 3
	finalRounds = 6
	// A file that was written to this short a while ago may be written to again with the same modification time.
	settling = 2 * time.Second
)

type copied struct {
	Files     int64 `json:"files"`
	Bytes     int64 `json:"bytes"`
	SentBytes int64 `json:"sent_bytes"`
	Changed   int64 `json:"changed_files"`
	Rounds    int   `json:"rounds"`
}

func (c *copying) run(ctx context.Context) (copied, error) {
	last := liveRounds
	if c.final {
		last = finalRounds
	}
	for number := 1; ; number++ {
		did, err := c.round(ctx, number)
		if err != nil {
			return copied{}, err
		}
		if len(c.failures) > 0 {
			return copied{}, c.failed()
		}
		if did == 0 || (number == last && !c.final) {
			return copied{c.files, c.bytes, c.sent.Load(), c.changed.Load(), number}, nil
		}
		if number == last {
			return copied{}, &failure{Kind: "changed", Message: fmt.Sprintf("after %d comparisons both ends still differ: something writes to one of them", number)}
		}
	}
}

func (c *copying) failed() error {
	first := *c.failures[0]
	if n := len(c.failures); n > 1 {
		first.Message = fmt.Sprintf("%s (and %d more)", first.Message, n-1)
	}
	return &first
}

func (c *copying) fail(found *failure) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.failures = append(c.failures, found)
}

// round compares once and sends what differs; it returns how many differences it found.
func (c *copying) round(ctx context.Context, number int) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan operation, 20_000)
	var workers sync.WaitGroup
	for range c.streams {
		workers.Add(1)
		go func() {
			defer workers.Done()
			if err := c.work(ctx, queue); err != nil {
				cancel(err)
			}
		}()
	}
	merge := &merging{copying: c, round: number, queue: queue}
	err := merge.run(ctx)
	close(queue)
	if err != nil {
		cancel(err)
	}
	c.listed.Store(true)
	if err == nil && len(merge.deltas) > 0 {
		if err = c.delta(ctx, merge.deltas); err != nil {
			cancel(err)
		}
	}
	workers.Wait()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return merge.found, nil
}

// work sends operations over a stream of its own. Replies come while it sends: a full disk is known before the file is through.
func (c *copying) work(ctx context.Context, queue <-chan operation) error {
	stream, end, err := c.mover.tunnel.openFor(ctx)
	if err != nil {
		return err
	}
	defer end()
	greeting := hello{Kind: "apply", Claim: c.claim, Compress: c.compress, Durable: c.final}
	out, err := newSender(counted{stream, &c.sent}, greeting)
	if err != nil {
		return lost(err)
	}
	defer out.close()
	ended := make(chan error, 1)
	go func() {
		err := c.replies(gob.NewDecoder(stream))
		if err != nil {
			stream.SetDeadline(time.Now()) // whoever writes would wait for an end that reads no more
		}
		ended <- err
	}()
	if err := c.send(ctx, out, queue); err != nil {
		select {
		case told := <-ended: // why the other end hung up
			if told != nil {
				return told
			}
		case <-time.After(time.Second):
		}
		return lost(err)
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *copying) send(ctx context.Context, out *sender, queue <-chan operation) error {
	buffer := make([]byte, chunkSize)
	for {
		var next operation
		var more bool
		select {
		case next, more = <-queue:
		default:
			if err := out.Flush(); err != nil {
				return err
			}
			select {
			case next, more = <-queue:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if !more {
			if err := out.gob.Encode(operation{Kind: '.'}); err != nil {
				return err
			}
			return out.Flush()
		}
		if err := c.one(out, next, buffer); err != nil {
			return err
		}
	}
}

func (c *copying) one(out *sender, next operation, buffer []byte) error {
	if next.Kind == 'e' && next.Entry.Type == 'f' {
		file, err := open(c.root + "/" + next.Entry.Path)
		if err != nil {
			c.unreadable(next.Entry.Path, err)
			return nil
		}
		defer file.Close()
		if err := out.gob.Encode(next); err != nil {
			return err
		}
		if err := c.content(out, file, &next.Entry, buffer); err != nil {
			return err
		}
	} else if err := out.gob.Encode(next); err != nil {
		return err
	}
	if next.Entry.Type != 'd' {
		c.filesDone.Add(1)
	}
	return nil
}

// unreadable: while the source serves, files come and go.
func (c *copying) unreadable(path string, err error) {
	if !c.final && errors.Is(err, os.ErrNotExist) {
		c.filesDone.Add(1)
		return
	}
	kind := "failed"
	if errors.Is(err, os.ErrPermission) {
		kind = "permission"
	}
	c.fail(&failure{Kind: kind, Path: path, Message: "cannot be read on the source: " + err.Error()})
}

// replies reads until the target says that it has done everything. Failures of single files are kept for the end.
func (c *copying) replies(decoder *gob.Decoder) error {
	for {
		var next reply
		if err := decoder.Decode(&next); err != nil {
			return lost(err)
		}
		if next.Failure != nil {
			if next.Fatal {
				return next.Failure
			}
			// While the source serves, what a hard link leads to may have come or gone since: the next copy sees to it.
			if c.final || next.Failure.Kind != "missing" {
				c.fail(next.Failure)
			}
			continue
		}
		return nil
	}
}

// lost: what a broken stream says is of no use to a person.
func lost(err error) error {
	var known *failure
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &failure{Kind: "disconnected", Message: "the connection to the mover of the other end was lost: " + strings.TrimSpace(err.Error())}
}
