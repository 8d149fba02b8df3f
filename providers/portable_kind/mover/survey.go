package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// surveyed says how much a volume holds and whether the mover needs to be root for it.
type surveyed struct {
	Files     int64  `json:"files"`
	Bytes     int64  `json:"bytes"`
	NeedsRoot string `json:"needs_root"` // why; empty: it does not
}

func (m *mover) survey(ctx context.Context, claim string) (any, error) {
	groups, err := os.Getgroups()
	if err != nil {
		return nil, err
	}
	mine := map[uint32]bool{uint32(os.Getegid()): true}
	for _, group := range groups {
		mine[uint32(group)] = true
	}
	found := surveyed{}
	walk := &walking{root: m.volume(claim), vanished: true}
	for e, err := range walk.walk(ctx) {
		if errors.Is(err, os.ErrPermission) {
			found.NeedsRoot = fmt.Sprintf("user %d may not read %v", os.Geteuid(), err)
			return found, nil
		}
		if err != nil {
			return nil, &failure{Kind: "failed", Message: err.Error()}
		}
		if e.Type != 'd' {
			found.Files++
			found.Bytes += e.size()
		}
		if found.NeedsRoot == "" && !m.privileged() {
			found.NeedsRoot = needsRoot(e, mine)
		}
	}
	return found, ctx.Err()
}

// needsRoot: only root makes files of others, of groups that it is not in, device nodes and privileged attributes.
func needsRoot(e *entry, groups map[uint32]bool) string {
	name := quote(e.Path)
	switch {
	case e.UID != uint32(os.Geteuid()):
		return fmt.Sprintf("%s belongs to user %d, the workload is user %d", name, e.UID, os.Geteuid())
	case !groups[e.GID]:
		return fmt.Sprintf("%s belongs to group %d, of which user %d is no member", name, e.GID, os.Geteuid())
	case e.Type == 'c', e.Type == 'b':
		return name + " is a device"
	case e.Type == 'f' && e.Mode&0o400 == 0:
		return fmt.Sprintf("%s has mode %04o, which keeps its own user from reading it", name, e.Mode)
	case strings.Contains("\x00"+e.Xattrs, "security.") || strings.Contains(e.Xattrs, "trusted."):
		return name + " has privileged attributes"
	}
	return ""
}
