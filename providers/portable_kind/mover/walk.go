package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"iter"
	"os"
	"path"
	"runtime"

	"golang.org/x/sys/unix"
)

// walking lists a volume in order: each folder before what is in it, names sorted by their bytes.
type walking struct {
	root    string
	withTop bool        // the volume's own folder too: only root can set its attributes, and else they are the kubelet's
	known   *remembered // files come with the sum of their content, read or known
	// vanished: names that go away meanwhile are left out; else they end the walk
	vanished bool
	leaders  map[inode]string
}

// walk yields every entry in order, of files with the sum of their content where that is asked for. An error is the last.
func (w *walking) walk(ctx context.Context) iter.Seq2[*entry, error] {
	w.leaders = map[inode]string{}
	if w.known != nil {
		return w.sums(ctx)
	}
	return func(yield func(*entry, error) bool) {
		_, err := w.folder(".", func(found *entry) bool { return ctx.Err() == nil && yield(found, nil) })
		if err != nil {
			yield(nil, err)
		}
	}
}

// summed: an entry of which the content is being read.
type summed struct {
	*entry
	err   error
	ready chan struct{}
}

// sums has several files' content read at a time.
func (w *walking) sums(ctx context.Context) iter.Seq2[*entry, error] {
	return func(yield func(*entry, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		out, jobs := make(chan *summed, 256), make(chan *summed)
		for range runtime.NumCPU() {
			go w.sum(jobs)
		}
		go func() {
			defer close(out)
			defer close(jobs)
			_, err := w.folder(".", func(found *entry) bool {
				next := &summed{entry: found, ready: make(chan struct{})}
				if found.Type == 'f' && found.Leader == "" {
					return put(ctx, jobs, next) && put(ctx, out, next)
				}
				close(next.ready)
				return put(ctx, out, next)
			})
			if err != nil {
				failed := &summed{err: err, ready: make(chan struct{})}
				close(failed.ready)
				put(ctx, out, failed)
			}
		}()
		for next := range out {
			<-next.ready
			if w.vanished && errors.Is(next.err, unix.ENOENT) {
				continue
			}
			if !yield(next.entry, next.err) {
				return
			}
		}
	}
}

func put[T any](ctx context.Context, to chan<- T, next T) bool {
	select {
	case to <- next:
		return true
	case <-ctx.Done():
		return false
	}
}

func (w *walking) sum(jobs <-chan *summed) {
	buffer := make([]byte, chunkSize)
	for job := range jobs {
		if job.Sum = w.known.of(job.entry); job.Sum == nil {
			if job.Sum, job.err = sum(w.root+"/"+job.Path, buffer); job.err == nil {
				w.known.keep(job.entry, job.Sum)
			}
		}
		close(job.ready)
	}
}

// folder hands what is in it to `each`, until that wants no more.
func (w *walking) folder(folder string, each func(*entry) bool) (more bool, err error) {
	if folder == "." && w.withTop {
		top, _, _, err := look(w.root, ".")
		if err != nil || !each(&top) {
			return false, err
		}
	}
	names, err := os.ReadDir(w.root + "/" + folder)
	if err != nil {
		if w.vanished && folder != "." && errors.Is(err, os.ErrNotExist) {
			return true, nil
		}
		return false, err
	}
	for _, name := range names {
		if folder == "." && name.Name() == "lost+found" && name.IsDir() {
			continue // the file system's own
		}
		found, err := w.entry(path.Join(folder, name.Name()))
		if err != nil {
			if w.vanished && errors.Is(err, unix.ENOENT) {
				continue
			}
			return false, err
		}
		if !each(found) {
			return false, nil
		}
		if found.Type == 'd' {
			if more, err := w.folder(found.Path, each); !more {
				return false, err
			}
		}
	}
	return true, nil
}

// entry looks at one, and remembers it as the leader of those that are links to the same file.
func (w *walking) entry(name string) (*entry, error) {
	found, node, links, err := look(w.root, name)
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: name, Err: err}
	}
	if links > 1 && found.Type != 'd' {
		if leader, known := w.leaders[node]; known {
			found.Leader = leader
		} else {
			w.leaders[node], found.Leads = found.Path, true
		}
	}
	return &found, nil
}

func sum(full string, buffer []byte) ([]byte, error) {
	file, err := open(full)
	if err != nil {
		return nil, err
	}
	defer file.close()
	digest := sha256.New()
	for at := int64(0); ; at += int64(len(buffer)) {
		n, err := file.ReadAt(buffer, at)
		digest.Write(buffer[:n])
		if err == io.EOF {
			return digest.Sum(nil), nil
		}
		if err != nil {
			return nil, err
		}
	}
}
