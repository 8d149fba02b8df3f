package main

import (
	"crypto/sha256"
	"sync"
	"time"
)

// remembered keeps the sums of large files, so that a proof need not read again what was read ahead while the app served.
//
// Who changes a file changes its ctime, which nobody can set. One exception is a page that is mapped and already dirty: it takes
// writes without that until it is written back. So a file counts only once its ctime is older than writing back can take.
type remembered struct {
	settled time.Duration

	mutex sync.Mutex
	sums  map[inode]known
}

// known: the sum of a file as long as all of this is the same.
type known struct {
	size, mtime, ctime int64
	sum                [sha256.Size]byte
}

const (
	worthReading = 1 << 20 // smaller files cost more to look at than to read
	mostKnown    = 1 << 18 // some 30 MiB
	// Dirty pages are written back after 30 s (vm.dirty_expire_centisecs), and looked for every 5.
	writtenBack = 2 * time.Minute
)

// of is the file's sum, if it is still known; else nil.
func (r *remembered) of(e *entry) []byte {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if found, ok := r.sums[e.node]; ok && found.size == e.Size && found.mtime == e.Mtime && found.ctime == e.ctime {
		return found.sum[:]
	}
	return nil
}

// keep takes the sum of a file that was looked at before it was read: what has changed it since has another ctime.
func (r *remembered) keep(e *entry, sum []byte) {
	if e.Size < worthReading || time.Since(time.Unix(0, e.ctime)) < r.settled {
		return
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.sums == nil {
		r.sums = map[inode]known{}
	}
	if _, again := r.sums[e.node]; again || len(r.sums) < mostKnown {
		r.sums[e.node] = known{e.Size, e.Mtime, e.ctime, [sha256.Size]byte(sum)}
	}
}
