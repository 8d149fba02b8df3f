package main

import (
	"context"
	"encoding/gob"
	"sync"
	"time"
)

// sending carries one round's operations to the target over several streams, which take what comes next as they get through.
type sending struct {
	*copying
	stop    context.CancelCauseFunc // ends the round
	workers sync.WaitGroup
	queue   chan []operation // nil while there is nothing to do
	batch   []operation
	weight  int64
	last    []operation
}

const (
	// Small files go by the batch: else streams would wake each other up for each of them.
	batchLength = 64
	batchWeight = 1 << 20
	queueLength = 256
)

// mostLast bounds the memory that waiting operations take.
var mostLast = 50_000

// now: in any order with others. What it needs is made by whoever comes first (a folder), or else is for `later`.
func (s *sending) now(ctx context.Context, next operation) error {
	s.batch, s.weight = append(s.batch, next), s.weight+next.Entry.size()
	if len(s.batch) < batchLength && s.weight < batchWeight {
		return nil
	}
	return s.flush(ctx)
}

// later: in this order, when everything that came before is done.
func (s *sending) later(ctx context.Context, next operation) error {
	s.last = append(s.last, next)
	if len(s.last) < mostLast {
		return nil
	}
	return s.end(ctx)
}

func (s *sending) flush(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	if s.queue == nil {
		s.queue = make(chan []operation, queueLength)
		for range s.streams {
			queue := s.queue
			s.workers.Go(func() {
				if err := s.work(ctx, queue); err != nil {
					s.stop(err)
				}
			})
		}
	}
	full := s.batch
	s.batch, s.weight = nil, 0
	if !put(ctx, s.queue, full) {
		return context.Cause(ctx)
	}
	return nil
}

// end returns when all is done, what had to wait included.
func (s *sending) end(ctx context.Context) error {
	err := s.flush(ctx)
	if s.queue != nil {
		close(s.queue)
		s.workers.Wait()
		s.queue = nil
	}
	if err != nil || ctx.Err() != nil || len(s.last) == 0 {
		return context.Cause(ctx)
	}
	only := make(chan []operation, 1)
	only <- s.last
	close(only)
	s.last = nil
	return s.work(ctx, only)
}

// work sends operations over a stream of its own. Replies come while it sends: a full disk is known before the file is through.
func (c *copying) work(ctx context.Context, queue <-chan []operation) error {
	stream, end, err := c.mover.tunnel.openFor(ctx)
	if err != nil {
		return err
	}
	defer end()
	out, err := newSender(counted{stream, &c.sent}, hello{Kind: "apply", Claim: c.claim, Compress: c.compress})
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
		return context.Cause(ctx)
	}
}

func (c *copying) send(ctx context.Context, out *sender, queue <-chan []operation) error {
	buffer := make([]byte, chunkSize)
	for {
		var batch []operation
		var more bool
		select {
		case batch, more = <-queue:
		default:
			if err := out.Flush(); err != nil {
				return err
			}
			select {
			case batch, more = <-queue:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if !more {
			if err := out.gob.Encode(operation{Kind: '.'}); err != nil {
				return err
			}
			return out.Flush()
		}
		for i := range batch {
			if err := c.one(out, &batch[i], buffer); err != nil {
				return err
			}
		}
	}
}

func (c *copying) one(out *sender, next *operation, buffer []byte) error {
	if next.Kind == 'e' && next.Entry.Type == 'f' {
		file, err := open(c.root + "/" + next.Entry.Path)
		if err != nil {
			c.unreadable(next.Entry.Path, err)
			return nil
		}
		defer file.close()
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
