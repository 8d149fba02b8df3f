package main

import (
	"bufio"
	"net"
	"sync"
	"time"
)

// coalescing makes few large system calls of TLS's many small ones: a record has at most 16 KiB. What is written while a system
// call is under way goes with the next one; nothing waits for more to come.
type coalescing struct {
	net.Conn
	reader *bufio.Reader

	mutex   sync.Mutex
	changed *sync.Cond
	waiting []byte
	err     error
	closed  bool
}

const mostWaiting = 512 << 10

func newCoalescing(conn net.Conn) *coalescing {
	made := &coalescing{Conn: conn, reader: bufio.NewReaderSize(conn, chunkSize)}
	made.changed = sync.NewCond(&made.mutex)
	go made.send()
	return made
}

func (c *coalescing) Read(data []byte) (int, error) { return c.reader.Read(data) }

func (c *coalescing) Write(data []byte) (int, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for len(c.waiting) >= mostWaiting && c.err == nil {
		c.changed.Wait()
	}
	if c.err != nil {
		return 0, c.err
	}
	c.waiting = append(c.waiting, data...)
	c.changed.Broadcast()
	return len(data), nil
}

func (c *coalescing) send() {
	var sending []byte
	for {
		c.mutex.Lock()
		for len(c.waiting) == 0 && !c.closed && c.err == nil {
			c.changed.Wait()
		}
		if c.err != nil || len(c.waiting) == 0 {
			c.mutex.Unlock()
			c.Conn.Close()
			return
		}
		sending, c.waiting = c.waiting, sending[:0]
		c.changed.Broadcast()
		c.mutex.Unlock()
		if _, err := c.Conn.Write(sending); err != nil {
			c.mutex.Lock()
			c.err = err
			c.changed.Broadcast()
			c.mutex.Unlock()
		}
	}
}

// Close sends what waits (TLS's own goodbye, say) as long as the other end takes it.
func (c *coalescing) Close() error {
	c.mutex.Lock()
	c.closed = true
	if c.err == nil && len(c.waiting) == 0 {
		c.err = net.ErrClosed
	}
	c.changed.Broadcast()
	c.mutex.Unlock()
	return c.Conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
}
