package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// copying makes a volume of the target equal to the source's, in rounds: compare both ends' listings, send what differs. Hard links
// and folders' attributes come last in a round. With the source stopped it goes on until nothing differs.
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
	// What is written during a shorter round is left to the next copy.
	longRound = 30 * time.Second
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
	for number := 1; ; number++ {
		found, again, err := c.round(ctx, number)
		if err != nil {
			return copied{}, err
		}
		if len(c.failures) > 0 {
			return copied{}, c.failed()
		}
		if found == 0 || !c.final && (!again || number == liveRounds) {
			return copied{c.files, c.bytes, c.sent.Load(), c.changed.Load(), number}, c.durable(ctx)
		}
		if number == finalRounds {
			return copied{}, &failure{Kind: "changed", Message: fmt.Sprintf("after %d comparisons both ends still differ: something writes to one of them", number)}
		}
	}
}

// durable: after the last copy everything is on the target's disk.
func (c *copying) durable(ctx context.Context) error {
	if !c.final {
		return nil
	}
	disk := &orders{mover: c.mover, claim: c.claim}
	defer disk.close()
	return disk.do(ctx, operation{Kind: 's', Entry: entry{Path: "."}})
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

// round compares once and sends what differs. Again: a copy of a volume that is in use is better for one more.
func (c *copying) round(ctx context.Context, number int) (found int64, again bool, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	began := time.Now()
	merge := &merging{copying: c, round: number, sending: &sending{copying: c, stop: stop}, anew: map[string]bool{}}
	err = merge.run(ctx)
	c.listed.Store(true)
	if err == nil && len(merge.deltas) > 0 {
		err = c.delta(ctx, merge.deltas)
	}
	if err != nil {
		stop(err)
	}
	err = merge.sending.end(ctx)
	return merge.found, len(merge.deltas) > 0 || time.Since(began) > longRound, err
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

// lost: what a broken stream says is of no use to a person.
func lost(err error) error {
	var known *failure
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &failure{Kind: "disconnected", Message: "the connection to the mover of the other end was lost: " + strings.TrimSpace(err.Error())}
}
