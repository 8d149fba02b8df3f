package main

import (
	"context"
	"encoding/gob"
	"strings"
)

// merging walks through both ends' listings side by side and says what the target lacks.
type merging struct {
	*copying
	round  int
	queue  chan<- operation
	found  int64
	deltas []entry // files of both ends whose content differs

	seen     bool // whether the source has any file at all
	removals []entry
	orders   *orders
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
	removed := ""
	superfluous := func(there *entry) error { return m.superfluous(ctx, there, &removed) }
	for item := range walk.walk(ctx) {
		mine, err := item.wait()
		if err != nil {
			return &failure{Kind: "permission", Message: "cannot be read on the source: " + err.Error()}
		}
		m.count(mine)
		there, err := theirs.upTo(mine.Path, superfluous)
		if err != nil {
			return err
		}
		if err := m.compare(ctx, mine, there, &removed); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := theirs.rest(superfluous); err != nil {
		return err
	}
	return m.removeRest(ctx)
}

func (m *merging) count(e *entry) {
	if e.Type != 'd' {
		m.files++
		m.bytes += e.size()
		m.seen = true
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
func (m *merging) superfluous(ctx context.Context, there *entry, removed *string) error {
	if *removed != "" && strings.HasPrefix(there.Path, *removed+"/") && m.seen {
		return nil // it went with its folder
	}
	m.found++
	m.changed.Add(1)
	m.removals = append(m.removals, *there)
	if !m.seen {
		return nil
	}
	*removed = there.Path
	return m.removeHeld(ctx)
}

func (m *merging) removeHeld(ctx context.Context) error {
	for _, held := range m.removals {
		if err := m.put(ctx, operation{Kind: 'x', Entry: entry{Path: held.Path, Type: held.Type}}); err != nil {
			return err
		}
	}
	m.removals = nil
	return nil
}

func (m *merging) compare(ctx context.Context, mine, there *entry, removed *string) error {
	if there != nil && (mine.same(there) || m.unsettled(mine, there)) {
		return nil
	}
	if mine.Type == 'd' && there != nil && there.Type == 'd' {
		if m.round == 1 {
			m.found++ // what is made in it changes it again
			return nil
		}
		return m.change(ctx, operation{Kind: 'm', Entry: *mine})
	}
	if mine.Leader != "" {
		if there != nil && there.Leader == mine.Leader {
			return nil // one file under several names: it is looked at under its first
		}
		if m.round == 1 {
			m.found++
			return nil
		}
		return m.change(ctx, operation{Kind: 'h', Entry: *mine, Replace: there != nil})
	}
	replace := there != nil && (there.Type != mine.Type || there.Leader != "" || mine.Type != 'f')
	if replace && there.Type == mine.Type && mine.Link == there.Link && mine.Device == there.Device && there.Leader == "" {
		return m.change(ctx, operation{Kind: 'm', Entry: *mine})
	}
	if replace && there.Type != mine.Type {
		// At once: what comes next may be in it.
		if err := m.orders.do(ctx, operation{Kind: 'x', Entry: entry{Path: mine.Path}}); err != nil {
			return err
		}
		if there.Type == 'd' {
			*removed = mine.Path
		}
		there = nil
	}
	if there == nil || replace || mine.Type != 'f' {
		return m.change(ctx, operation{Kind: 'e', Entry: *mine, Replace: replace && there != nil})
	}
	return m.file(ctx, mine, there)
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
		return m.change(ctx, operation{Kind: 'm', Entry: *mine})
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
	return m.change(ctx, operation{Kind: 'e', Entry: *mine, Replace: true})
}

func (m *merging) change(ctx context.Context, next operation) error {
	m.found++
	if next.Entry.Type != 'd' || next.Kind == 'e' {
		m.changed.Add(1)
	}
	if next.Entry.Type != 'd' {
		m.filesTotal.Add(1)
	}
	if next.Kind == 'e' {
		m.bytesTotal.Add(next.Entry.size())
	}
	return m.put(ctx, next)
}

func (m *merging) put(ctx context.Context, next operation) error {
	select {
	case m.queue <- next:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
