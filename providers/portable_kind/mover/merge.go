package main

import (
	"context"
	"encoding/gob"
	"path"
	"strings"
)

// merging walks through both ends' listings side by side and says what the target lacks.
type merging struct {
	*copying
	round   int
	sending *sending
	found   int64
	deltas  []entry // files of both ends whose content differs

	seen     bool // whether the source has any file at all
	removals []entry
	removed  string // the folder that was removed last
	orders   *orders
	around   []around
	anew     map[string]bool // of files with several names, the first of those that are made in this round
}

// around is a folder that the walk is in. Touched: it, or what is in it, changes.
type around struct {
	folder  *entry
	touched bool
}

func (m *merging) run(ctx context.Context) error {
	stream, end, err := m.mover.tunnel.openFor(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := gob.NewEncoder(stream).Encode(hello{Kind: "list", Claim: m.claim, Top: m.top}); err != nil {
		return lost(err)
	}
	theirs := &listing{decoder: gob.NewDecoder(stream)}
	walk := &walking{root: m.root, withTop: m.top, vanished: !m.final}
	m.files, m.bytes = 0, 0
	m.orders = &orders{mover: m.mover, claim: m.claim}
	defer m.orders.close()
	superfluous := func(there *entry) error { return m.superfluous(ctx, there) }
	for mine, err := range walk.walk(ctx) {
		if err != nil {
			return &failure{Kind: "permission", Message: "cannot be read on the source: " + err.Error()}
		}
		m.count(mine)
		there, err := theirs.upTo(mine.Path, superfluous)
		if err != nil {
			return err
		}
		if err := m.leave(ctx, mine.Path); err != nil {
			return err
		}
		if err := m.compare(ctx, mine, there); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := theirs.rest(superfluous); err != nil {
		return err
	}
	if err := m.removeRest(ctx); err != nil {
		return err
	}
	return m.leave(ctx, "")
}

func (m *merging) count(e *entry) {
	if e.Type != 'd' {
		m.files++
		m.bytes += e.size()
		m.seen = true
	}
}

// leave ends the folders that `next` is not in: what was touched gets its attributes when all that is in it is there.
func (m *merging) leave(ctx context.Context, next string) error {
	for n := len(m.around); n > 0; n-- {
		last := m.around[n-1]
		if next != "" && (last.folder.Path == "." || strings.HasPrefix(next, last.folder.Path+"/")) {
			return nil
		}
		m.around = m.around[:n-1]
		if last.touched {
			if err := m.sending.later(ctx, operation{Kind: 'm', Entry: *last.folder}); err != nil {
				return err
			}
		}
	}
	return nil
}

// touch: a name in a folder comes, goes or is made anew, which changes the folder's time.
func (m *merging) touch(name string) {
	folder := path.Dir(name)
	for i := len(m.around) - 1; i >= 0; i-- {
		if m.around[i].folder.Path == folder {
			m.around[i].touched = true
			return
		}
	}
}

// removeRest removes what was held back until the source showed a file.
func (m *merging) removeRest(ctx context.Context) error {
	for _, held := range m.removals {
		if held.Type != 'd' && !m.seen {
			return &failure{Kind: "empty", Message: "the source's volume holds no file, and the target's does"}
		}
	}
	return m.removeHeld(ctx)
}

// superfluous: the target has it and the source has not. Nothing goes before the source has shown that it is not empty.
func (m *merging) superfluous(ctx context.Context, there *entry) error {
	if m.removed != "" && strings.HasPrefix(there.Path, m.removed+"/") && m.seen {
		return nil // it went with its folder
	}
	m.found++
	m.changed.Add(1)
	m.touch(there.Path)
	m.removals = append(m.removals, *there)
	if !m.seen {
		return nil
	}
	m.removed = there.Path
	return m.removeHeld(ctx)
}

func (m *merging) removeHeld(ctx context.Context) error {
	for _, held := range m.removals {
		gone := operation{Kind: 'x', Entry: entry{Path: held.Path, Type: held.Type}}
		if err := m.sending.now(ctx, gone); err != nil {
			return err
		}
	}
	m.removals = nil
	return nil
}

func (m *merging) compare(ctx context.Context, mine, there *entry) error {
	if there != nil && there.Type != mine.Type {
		// At once: what comes next may be in it.
		if err := m.orders.do(ctx, operation{Kind: 'x', Entry: entry{Path: mine.Path}}); err != nil {
			return err
		}
		if there.Type == 'd' {
			m.removed = mine.Path
		}
		there = nil
	}
	if mine.Type == 'd' {
		return m.folder(ctx, mine, there)
	}
	switch {
	case mine.Leader != "":
		if there != nil && there.Leader == mine.Leader && !m.anew[mine.Leader] {
			return nil // one file under several names: it is looked at under its first
		}
		m.note(mine)
		return m.sending.later(ctx, operation{Kind: 'h', Entry: *mine, Replace: there != nil})
	case there != nil && (mine.same(there) || m.unsettled(mine, there)):
		return nil
	case there == nil || there.Leader != "":
		return m.make(ctx, mine, there != nil)
	case mine.Type == 'f':
		return m.file(ctx, mine, there)
	case mine.Link == there.Link && mine.Device == there.Device:
		return m.attributes(ctx, mine)
	}
	return m.make(ctx, mine, true)
}

// folder: its attributes come when the walk leaves it.
func (m *merging) folder(ctx context.Context, mine, there *entry) error {
	here := around{folder: mine, touched: there == nil || !mine.same(there)}
	if here.touched {
		m.found++
	}
	if there == nil {
		m.changed.Add(1)
		m.touch(mine.Path)
		if err := m.sending.now(ctx, operation{Kind: 'e', Entry: *mine}); err != nil {
			return err
		}
	}
	m.around = append(m.around, here)
	return nil
}

// unsettled: sent by this very copy, and marked for the next one, because it was being written to.
func (m *merging) unsettled(mine, there *entry) bool {
	marked := *there
	marked.Mtime++
	return !m.final && m.round > 1 && mine.Type == 'f' && mine.same(&marked)
}

// file: both ends have it, and it differs.
func (m *merging) file(ctx context.Context, mine, there *entry) error {
	if mine.Size == there.Size && mine.Mtime == there.Mtime {
		return m.attributes(ctx, mine)
	}
	writable := m.mover.privileged() || there.Mode&0o200 != 0
	if there.Size >= deltaFrom && mine.Size >= deltaFrom && writable {
		m.found++
		m.changed.Add(1)
		m.filesTotal.Add(1)
		m.bytesTotal.Add(mine.Size)
		m.deltas = append(m.deltas, *mine)
		return nil
	}
	return m.make(ctx, mine, true)
}

// make: the target has none, or one that cannot be mended.
func (m *merging) make(ctx context.Context, mine *entry, replace bool) error {
	m.note(mine)
	if mine.Leads {
		m.anew[mine.Path] = true
	}
	m.bytesTotal.Add(mine.size())
	return m.sending.now(ctx, operation{Kind: 'e', Entry: *mine, Replace: replace})
}

func (m *merging) attributes(ctx context.Context, mine *entry) error {
	m.found++
	m.changed.Add(1)
	m.filesTotal.Add(1)
	return m.sending.now(ctx, operation{Kind: 'm', Entry: *mine})
}

// note counts a name that is made, or made anew.
func (m *merging) note(mine *entry) {
	m.found++
	m.changed.Add(1)
	m.filesTotal.Add(1)
	m.touch(mine.Path)
}
