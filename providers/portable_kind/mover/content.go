package main

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func open(full string) (*os.File, error) {
	return os.OpenFile(full, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// content sends what a file holds as it is now: chunks where data is, nothing where holes are, then its size and time.
func (c *copying) content(out *sender, file *os.File, e *entry, buffer []byte) error {
	info, err := file.Stat()
	if err != nil {
		c.unreadable(e.Path, err)
		return chunk{Length: lostChunk}.write(out)
	}
	size := info.Size()
	for at := int64(0); at < size; {
		end := size
		if e.sparse() {
			if at, end = nextData(file, at, size); at >= size {
				break
			}
		}
		read, err := c.stretch(out, file, at, end, buffer)
		if err != nil {
			return err
		}
		if read < end { // it has become shorter
			size = read
			break
		}
		at = end
	}
	mtime := info.ModTime()
	if !c.final && time.Since(mtime) < settling {
		mtime = mtime.Add(-1) // so that the next copy looks at it again
	}
	return chunk{size, lastChunk, mtime.UnixNano()}.write(out)
}

// stretch sends [at, end) and returns how far it came before the file ended.
func (c *copying) stretch(out *sender, file *os.File, at, end int64, buffer []byte) (int64, error) {
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
			return at, &failure{Kind: "failed", Path: file.Name(), Message: "cannot be read on the source: " + err.Error()}
		}
	}
	return at, nil
}

// nextData is the next stretch that is no hole, from `at` on; (size, size) where there is none.
func nextData(file *os.File, at, size int64) (int64, int64) {
	start, err := unix.Seek(int(file.Fd()), at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return size, size
	}
	if err != nil {
		return at, size
	}
	end, err := unix.Seek(int(file.Fd()), start, unix.SEEK_HOLE)
	if err != nil {
		end = size
	}
	return start, min(end, size)
}
