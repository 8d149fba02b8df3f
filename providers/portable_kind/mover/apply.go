package main

import (
	"bufio"
	"encoding/gob"
	"errors"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// applying makes a volume of the target what the source says, one operation after the other.
type applying struct {
	root   string
	buffer []byte
}

// apply serves one stream of operations until its end. An operation that fails is told and the next one done; a full disk ends it.
func (m *mover) apply(greeting hello, reader *bufio.Reader, decoder *gob.Decoder, replies *gob.Encoder) error {
	target := &applying{root: m.volume(greeting.Claim), buffer: make([]byte, chunkSize)}
	for {
		var next operation
		if err := decoder.Decode(&next); err != nil {
			return err
		}
		if next.Kind == '.' {
			return replies.Encode(reply{})
		}
		err := target.do(next, reader)
		var broken *brokenStream
		if errors.As(err, &broken) {
			return err
		}
		if err != nil {
			told := target.failure(next.Entry.Path, err)
			if err := replies.Encode(reply{Failure: told, Fatal: told.Kind == "full"}); err != nil {
				return err
			}
			if told.Kind == "full" {
				return err
			}
		} else if next.Ack {
			if err := replies.Encode(reply{}); err != nil {
				return err
			}
		}
	}
}

// brokenStream: what was read of the stream makes no sense of the rest.
type brokenStream struct{ error }

func (t *applying) do(next operation, reader io.Reader) error {
	e, full := &next.Entry, t.root+"/"+next.Entry.Path
	if next.Replace || next.Kind == 'x' {
		if err := remove(full); err != nil {
			if next.Kind == 'e' && e.Type == 'f' {
				return errors.Join(err, t.skip(reader))
			}
			return err
		}
	}
	switch next.Kind {
	case 'e':
		switch e.Type {
		case 'd':
			return t.create(full, func() error { return ignore(unix.Mkdir(full, 0o700), unix.EEXIST) })
		case 'f':
			return t.receive(e, full, reader)
		}
		if err := t.create(full, func() error { return t.special(e, full) }); err != nil {
			return err
		}
		return t.metadata(e, full)
	case 'h':
		return t.create(full, func() error { return os.Link(t.root+"/"+e.Leader, full) })
	case 'm':
		return t.metadata(e, full)
	case 't':
		return setTime(full, 0)
	case 's':
		return syncVolume(t.root)
	case 'f':
		return unix.ENOSPC
	}
	return nil
}

func (t *applying) special(e *entry, full string) error {
	switch e.Type {
	case 'l':
		return unix.Symlink(e.Link, full)
	case 'p':
		return unix.Mknod(full, unix.S_IFIFO|0o600, 0)
	case 's':
		return unix.Mknod(full, unix.S_IFSOCK|0o600, 0)
	case 'c':
		return unix.Mknod(full, unix.S_IFCHR|0o600, int(e.Device))
	case 'b':
		return unix.Mknod(full, unix.S_IFBLK|0o600, int(e.Device))
	}
	return unix.EINVAL
}

// create makes a name, for a second time after what stood in the way is mended: a folder that another stream has not made yet, or
// one that its owner may not write to, or something of an earlier try.
func (t *applying) create(full string, make func() error) error {
	err := make()
	switch {
	case errors.Is(err, os.ErrNotExist):
		os.MkdirAll(path.Dir(full), 0o700)
	case errors.Is(err, os.ErrPermission):
		os.Chmod(path.Dir(full), 0o700)
	case errors.Is(err, os.ErrExist):
		if err := remove(full); err != nil {
			return err
		}
	default:
		return err
	}
	return make()
}

func (t *applying) receive(e *entry, full string, reader io.Reader) error {
	var file descriptor
	err := t.create(full, func() (err error) {
		// Writable in any case: an interrupted copy goes on from what is there.
		file, err = openAs(full, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o600|e.Mode&0o777)
		return err
	})
	if err != nil {
		return errors.Join(err, t.skip(reader))
	}
	return errors.Join(t.take(file, e, reader), file.close())
}

// take makes a new file what follows in the stream, and its attributes the entry's.
func (t *applying) take(file descriptor, e *entry, reader io.Reader) error {
	last, err := t.content(file, reader)
	if err != nil || last.Length == lostChunk {
		return err
	}
	// To look is cheap, and each change is one more for the file system's journal.
	made, err := file.stat()
	if err != nil {
		return err
	}
	if made.Uid != e.UID || made.Gid != e.GID {
		if err := unix.Fchown(int(file), int(e.UID), int(e.GID)); err != nil {
			return err
		}
	}
	if e.Xattrs != "" {
		for name, value := range parseXattrs(e.Xattrs) {
			if err := unix.Fsetxattr(int(file), name, value, 0); err != nil {
				return err
			}
		}
	}
	if made.Mode&0o7777 != e.Mode || e.Xattrs != "" { // an ACL changes the mode
		if err := unix.Fchmod(int(file), e.Mode); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(int(file), "", times(last.Mtime), unix.AT_EMPTY_PATH)
}

// content writes a file's chunks; holes are where no chunk is. A disk that is full ends the stream, so nothing need be skipped.
func (t *applying) content(file descriptor, reader io.Reader) (chunk, error) {
	var end int64
	var failed error
	for {
		next, err := readChunk(reader)
		if err != nil {
			return next, &brokenStream{err}
		}
		if next.Length < 0 {
			if failed == nil && next.Length == lastChunk && end != next.Offset {
				failed = unix.Ftruncate(int(file), next.Offset)
			}
			return next, failed
		}
		if next.Length > chunkSize {
			return next, &brokenStream{errors.New("a chunk is too long")}
		}
		data := t.buffer[:next.Length]
		if _, err := io.ReadFull(reader, data); err != nil {
			return next, &brokenStream{err}
		}
		if failed == nil {
			_, failed = file.WriteAt(data, next.Offset)
			end = next.Offset + next.Length
			if isFull(failed) {
				return next, failed
			}
		}
	}
}

func (t *applying) skip(reader io.Reader) error {
	for {
		next, err := readChunk(reader)
		if err == nil && next.Length > 0 {
			_, err = io.CopyN(io.Discard, reader, next.Length)
		}
		if err != nil {
			return &brokenStream{err}
		}
		if next.Length < 0 {
			return nil
		}
	}
}

// metadata makes owner, attributes, mode and time of what is there the entry's.
func (t *applying) metadata(e *entry, full string) error {
	live, _, _, err := look(t.root, e.Path)
	if err != nil {
		return err
	}
	if live.UID != e.UID || live.GID != e.GID {
		if err := unix.Lchown(full, int(e.UID), int(e.GID)); err != nil {
			return err
		}
	}
	if live.Xattrs != e.Xattrs {
		wanted := parseXattrs(e.Xattrs)
		for name := range parseXattrs(live.Xattrs) {
			if _, keep := wanted[name]; !keep {
				if err := ignore(unix.Lremovexattr(full, name), unix.ENODATA); err != nil {
					return err
				}
			}
		}
		for name, value := range wanted {
			if err := unix.Lsetxattr(full, name, value, 0); err != nil {
				return err
			}
		}
	}
	if e.Type != 'l' {
		if err := unix.Chmod(full, e.Mode); err != nil {
			return err
		}
	}
	return setTime(full, e.Mtime)
}

func setTime(full string, mtime int64) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, full, times(mtime), unix.AT_SYMLINK_NOFOLLOW)
}

// times leave the access time as it is.
func times(mtime int64) []unix.Timespec {
	return []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(mtime)}
}

// remove takes a name away, with all that is in it; folders that their owner may not write to are no obstacle.
func remove(full string) error {
	err := os.RemoveAll(full)
	if !errors.Is(err, os.ErrPermission) {
		return err
	}
	openUp(full)
	return os.RemoveAll(full)
}

func openUp(full string) {
	os.Chmod(path.Dir(full), 0o700)
	if info, err := os.Lstat(full); err != nil || !info.IsDir() {
		return
	}
	os.Chmod(full, 0o700)
	names, _ := os.ReadDir(full)
	for _, name := range names {
		if name.IsDir() {
			openUp(full + "/" + name.Name())
		}
	}
}

func syncVolume(root string) error {
	folder, err := os.Open(root)
	if err != nil {
		return err
	}
	defer folder.Close()
	return unix.Syncfs(int(folder.Fd()))
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

func (t *applying) failure(path string, err error) *failure {
	found := &failure{Kind: "failed", Message: err.Error(), Path: path}
	switch {
	case isFull(err):
		found.Kind = "full"
		var disk unix.Statfs_t
		if unix.Statfs(t.root, &disk) == nil {
			found.Free, found.Size = disk.Bavail*uint64(disk.Bsize), disk.Blocks*uint64(disk.Bsize)
		}
	case errors.Is(err, os.ErrPermission):
		found.Kind = "permission"
	case errors.Is(err, os.ErrNotExist):
		found.Kind = "missing"
	}
	return found
}
