package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// walking lists a volume in order: each folder before what is in it, names sorted by their bytes.
type walking struct {
	root    string
	withTop bool // the volume's own folder too: only root can set its attributes, and else they are the kubelet's
	hashed  bool
	// vanished: names that go away meanwhile are left out; else they end the walk
	vanished bool
	leaders  map[inode]string
}

type listed struct {
	entry entry
	err   error
	ready chan struct{}
}

// walk sends every entry in order, content hashed by several at a time where that is asked for. The channel is closed after
// the last one; an entry with an error is the last.
func (w *walking) walk(ctx context.Context) <-chan *listed {
	w.leaders = map[inode]string{}
	out := make(chan *listed, 4096)
	if w.hashed {
		out = make(chan *listed, 256)
	}
	jobs := make(chan *listed)
	var workers sync.WaitGroup
	if w.hashed {
		for range runtime.NumCPU() {
			workers.Add(1)
			go func() {
				defer workers.Done()
				buffer := make([]byte, 256<<10)
				for job := range jobs {
					job.entry.Sum, job.err = sum(w.root+"/"+job.entry.Path, buffer)
					close(job.ready)
				}
			}()
		}
	}
	emit := func(found entry) bool {
		item := &listed{entry: found}
		if w.hashed && found.Type == 'f' && found.Leader == "" {
			item.ready = make(chan struct{})
			select {
			case jobs <- item:
			case <-ctx.Done():
				return false
			}
		}
		select {
		case out <- item:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(out)
		err := w.folder(ctx, ".", emit)
		close(jobs)
		workers.Wait()
		if err != nil {
			select {
			case out <- &listed{err: err}:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

func (w *walking) folder(ctx context.Context, folder string, emit func(entry) bool) error {
	if folder == "." && w.withTop {
		top, _, _, err := look(w.root, ".")
		if err != nil || !emit(top) {
			return errors.Join(err, ctx.Err())
		}
	}
	names, err := os.ReadDir(w.root + "/" + folder)
	if err != nil {
		if w.vanished && folder != "." && errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, name := range names {
		if folder == "." && name.Name() == "lost+found" && name.IsDir() {
			continue // the file system's own
		}
		found, node, links, err := look(w.root, path.Join(folder, name.Name()))
		if err != nil {
			if w.vanished && errors.Is(err, unix.ENOENT) {
				continue
			}
			return &os.PathError{Op: "read", Path: path.Join(folder, name.Name()), Err: err}
		}
		if links > 1 && found.Type != 'd' {
			if leader, known := w.leaders[node]; known {
				found.Leader = leader
			} else {
				w.leaders[node] = found.Path
			}
		}
		if !emit(found) {
			return ctx.Err()
		}
		if found.Type == 'd' {
			if err := w.folder(ctx, found.Path, emit); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *listed) wait() (*entry, error) {
	if l.ready != nil {
		<-l.ready
	}
	return &l.entry, l.err
}

func sum(full string, buffer []byte) ([]byte, error) {
	file, err := open(full)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	digest := sha256.New()
	// Not io.Copy: it would find ways around the buffer.
	for {
		n, err := file.Read(buffer)
		digest.Write(buffer[:n])
		if err == io.EOF {
			return digest.Sum(nil), nil
		}
		if err != nil {
			return nil, err
		}
	}
}
