package main

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// descriptor is an open file. os.File would ask the kernel five things more of each, so as to serve sockets and pipes too:
// of 100,000 small files that is a third of the time.
type descriptor int

func open(full string) (descriptor, error) {
	// NONBLOCK: a pipe that took the file's place meanwhile is not waited for.
	return openAs(full, unix.O_RDONLY|unix.O_NONBLOCK, 0)
}

func openAs(full string, flags int, mode uint32) (descriptor, error) {
	for {
		file, err := unix.Open(full, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		if !errors.Is(err, unix.EINTR) {
			return descriptor(file), err
		}
	}
}

// ReadAt is io.ReaderAt's.
func (d descriptor) ReadAt(data []byte, at int64) (int, error) {
	return d.all(data, at, unix.Pread, io.EOF)
}

// WriteAt is io.WriterAt's.
func (d descriptor) WriteAt(data []byte, at int64) (int, error) {
	return d.all(data, at, unix.Pwrite, io.ErrShortWrite)
}

func (d descriptor) all(data []byte, at int64, call func(int, []byte, int64) (int, error), nothing error) (int, error) {
	done := 0
	for done < len(data) {
		n, err := call(int(d), data[done:], at+int64(done))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return done, err
		case n == 0:
			return done, nothing
		default:
			done += n
		}
	}
	return done, nil
}

func (d descriptor) stat() (unix.Stat_t, error) {
	var found unix.Stat_t
	err := unix.Fstat(int(d), &found)
	return found, err
}

func (d descriptor) close() error { return unix.Close(int(d)) }
