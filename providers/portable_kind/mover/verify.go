package main

import (
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync/atomic"
)

const mostDifferences = 100

// list sends this end's listing, and at its end what it makes of it: the SHA-256 of all entries.
func (m *mover) list(greeting hello, stream io.Writer) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	out := newListSender(stream)
	walk := &walking{root: m.volume(greeting.Claim), withTop: greeting.Top}
	if greeting.Hashed {
		walk.known = &m.known
	}
	digest := sha256.New()
	for found, err := range walk.walk(ctx) {
		if err != nil {
			return out.end(entry{Failed: err.Error()})
		}
		if greeting.Hashed {
			found.canonical(digest)
		}
		if err := out.gob.Encode(found); err != nil {
			return err
		}
	}
	return out.end(entry{Sum: digest.Sum(nil)})
}

type verified struct {
	Files       int64    `json:"files"`
	Bytes       int64    `json:"bytes"`
	Known       int64    `json:"known"` // bytes that the next proof need not read, if nobody changes them
	Digest      string   `json:"digest"`
	Differences []string `json:"differences"`
}

// verifying compares both ends' listings with all content read. Each end reads its own volume and makes its own digest.
type verifying struct {
	mover    *mover
	claim    string
	root     string
	top      bool
	ahead    bool // while the app serves: files may vanish meanwhile
	hashed   atomic.Int64
	files    atomic.Int64
	found    verified
	total    int
	digest   hash.Hash
	outdated *orders
}

func (v *verifying) run(ctx context.Context) (verified, error) {
	stream, end, err := v.mover.tunnel.openFor(ctx)
	if err != nil {
		return verified{}, err
	}
	defer end()
	greeting := hello{Kind: "list", Claim: v.claim, Top: v.top, Hashed: true}
	if err := gob.NewEncoder(stream).Encode(greeting); err != nil {
		return verified{}, lost(err)
	}
	v.digest = sha256.New()
	v.outdated = &orders{mover: v.mover, claim: v.claim}
	defer v.outdated.close()
	theirs := &listing{decoder: gob.NewDecoder(stream)}
	if err := v.compare(ctx, theirs); err != nil {
		return verified{}, err
	}
	v.found.Digest = hex.EncodeToString(v.digest.Sum(nil))
	if there := hex.EncodeToString(theirs.ended.Sum); there != v.found.Digest && v.total == 0 {
		v.note(".", "the digests differ: "+v.found.Digest+", on the target "+there)
	}
	if v.total > mostDifferences {
		v.found.Differences = append(v.found.Differences, fmt.Sprintf("and %d more", v.total-mostDifferences))
	}
	return v.found, ctx.Err()
}

func (v *verifying) compare(ctx context.Context, theirs *listing) error {
	walk := &walking{root: v.root, withTop: v.top, known: &v.mover.known, vanished: v.ahead}
	alone := func(there *entry) error { v.note(there.Path, "only on the target"); return nil }
	for mine, err := range walk.walk(ctx) {
		if err != nil {
			return &failure{Kind: "failed", Message: "cannot be read on the source: " + err.Error()}
		}
		mine.canonical(v.digest)
		v.count(mine)
		there, err := theirs.upTo(mine.Path, alone)
		if err != nil {
			return err
		}
		if there == nil {
			v.note(mine.Path, "not on the target")
			continue
		}
		if err := v.pair(ctx, mine, there); err != nil {
			return err
		}
	}
	if ctx.Err() == nil {
		if err := theirs.rest(alone); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// pair names what differs. What a copy would take for the same is marked, so that the next one sends it again.
func (v *verifying) pair(ctx context.Context, mine, there *entry) error {
	differences := mine.differences(there)
	if len(differences) == 0 {
		return nil
	}
	v.note(mine.Path, strings.Join(differences, "; "))
	if mine.Type == 'f' && mine.same(there) {
		if string(mine.Sum) == string(there.Sum) { // its holes are filled: only a new file gets them back
			return v.outdated.do(ctx, operation{Kind: 'x', Entry: *there})
		}
		return v.outdated.do(ctx, operation{Kind: 't', Entry: *there})
	}
	return nil
}

func (v *verifying) count(e *entry) {
	if e.Type != 'd' {
		v.found.Files++
		v.found.Bytes += e.size()
		v.files.Add(1)
		v.hashed.Add(e.size())
		if e.Type == 'f' && e.Leader == "" && v.mover.known.of(e) != nil {
			v.found.Known += e.Size
		}
	}
}

func (v *verifying) note(path, words string) {
	v.total++
	if v.total <= mostDifferences {
		v.found.Differences = append(v.found.Differences, quote(path)+": "+words)
	}
}
