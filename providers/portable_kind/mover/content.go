package main

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// content sends what a file holds as it is now: chunks where data is, nothing where holes are, then its size and time.
func (c *copying) content(out *sender, file descriptor, e *entry, buffer []byte) error {
	stat, err := file.stat()
	if err != nil {
		c.unreadable(e.Path, err)
		return chunk{Length: lostChunk}.write(out)
	}
	size := stat.Size
	for at := int64(0); at < size; {
		end := size
		if e.sparse() {
			if at, end = nextData(file, at, size); at >= size {
				break
			}
		}
		read, err := c.stretch(out, file, e.Path, at, end, buffer)
		if err != nil {
			return err
		}
		if read < end { // it has become shorter
			size = read
			break
		}
		at = end
	}
	mtime := stat.Mtim.Nano()
	if !c.final && time.Since(time.Unix(0, mtime)) < settling {
		mtime-- // so that the next copy looks at it again
	}
	return chunk{size, lastChunk, mtime}.write(out)
}

// stretch sends [at, end) and returns how far it came before the file ended.
func (c *copying) stretch(out *sender, file descriptor, path string, at, end int64, buffer []byte) (int64, error) {
	for at < end {
		n, err := file.ReadAt(buffer[:min(int64(len(buffer)), end-at)], at)
		if n > 0 {
			if err := (chunk{at, int64(n), 0}).write(out); err != nil {
				return at, err
			}
			if _, err := out.Write(buffer[:n]); err != nil {
				return at, err
			}
			c.bytesDone.Add(int64(n))
			at += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return at, nil
		}
		if err != nil {
			return at, &failure{Kind: "failed", Path: path, Message: "cannot be read on the source: " + err.Error()}
		}
	}
	return at, nil
}

// nextData is the next stretch that is no hole, from `at` on; (size, size) where there is none.
func nextData(file descriptor, at, size int64) (int64, int64) {
	start, err := unix.Seek(int(file), at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return size, size
	}
	if err != nil {
		return at, size
	}
	end, err := unix.Seek(int(file), start, unix.SEEK_HOLE)
	if err != nil {
		end = size
	}
	return start, min(end, size)
}
