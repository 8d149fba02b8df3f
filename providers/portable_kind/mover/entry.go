package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash"
	"os"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// entry is one name in a volume. Path is relative, "." for the root, and of whatever bytes the file system has.
type entry struct {
	Path      string
	Type      byte // f, d, l(ink), p(ipe), s(ocket), c(haracter), b(lock); 0: the end of a listing
	Size      int64
	Mode      uint32 // permission bits with setuid, setgid and sticky
	UID, GID  uint32
	Mtime     int64  // nanoseconds since the epoch
	Link      string // a symlink's target
	Device    uint64
	Leader    string // the first name of the same file in the order of the walk, where it has several
	Leads     bool   // it is such a first name
	Xattrs    string // as `xattrs` writes them; ACLs are among them
	Allocated int64  // bytes on disk
	Sum       []byte // SHA-256 of a file's content, where it was asked for
	Failed    string // at the end of a listing: why it is not whole

	node  inode // these two stay at this end
	ctime int64 // nanoseconds since the epoch
}

func (e *entry) size() int64 {
	if e.Type == 'f' && e.Leader == "" {
		return e.Size
	}
	return 0
}

// sparse: much smaller on disk than it looks. File systems differ in how they count small files.
func (e *entry) sparse() bool {
	return e.Type == 'f' && e.Size >= 128<<10 && e.Allocated < e.Size-e.Size/8
}

var types = map[uint32]byte{
	unix.S_IFREG: 'f', unix.S_IFDIR: 'd', unix.S_IFLNK: 'l', unix.S_IFIFO: 'p', unix.S_IFSOCK: 's', unix.S_IFCHR: 'c', unix.S_IFBLK: 'b',
}

type inode struct{ device, number uint64 }

// look reads an entry, all but its Leader and Sum.
func look(root, path string) (entry, inode, uint64, error) {
	full := root + "/" + path
	var stat unix.Stat_t
	if err := unix.Lstat(full, &stat); err != nil {
		return entry{}, inode{}, 0, err
	}
	found := entry{
		Path: path, Type: types[stat.Mode&unix.S_IFMT], Mode: stat.Mode & 0o7777, UID: stat.Uid, GID: stat.Gid,
		Mtime: stat.Mtim.Nano(), Allocated: stat.Blocks * 512, node: inode{stat.Dev, stat.Ino}, ctime: stat.Ctim.Nano(),
	}
	switch found.Type {
	case 'f':
		found.Size = stat.Size
	case 'l':
		target, err := os.Readlink(full)
		if err != nil {
			return entry{}, inode{}, 0, err
		}
		found.Link, found.Mode = target, 0o777
	case 'c', 'b':
		found.Device = stat.Rdev
	}
	var err error
	found.Xattrs, err = xattrs(full)
	return found, inode{stat.Dev, stat.Ino}, stat.Nlink, err
}

// xattrs lists extended attributes in one canonical text: name NUL length value, sorted. SELinux labels belong to the node.
func xattrs(full string) (string, error) {
	var small [512]byte
	names := small[:]
	n, err := unix.Llistxattr(full, names)
	if err == unix.ERANGE {
		names = make([]byte, 65536)
		n, err = unix.Llistxattr(full, names)
	}
	if n == 0 || err == unix.ENOTSUP {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	sorted := strings.Split(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00")
	sort.Strings(sorted)
	var found strings.Builder
	value := make([]byte, 65536)
	for _, name := range sorted {
		if name == "security.selinux" || name == "" {
			continue
		}
		n, err := unix.Lgetxattr(full, name, value)
		if err == unix.ENODATA {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		found.WriteString(name + "\x00")
		found.Write(binary.BigEndian.AppendUint32(nil, uint32(n)))
		found.Write(value[:n])
	}
	return found.String(), nil
}

func parseXattrs(text string) map[string][]byte {
	found := map[string][]byte{}
	for text != "" {
		name, rest, _ := strings.Cut(text, "\x00")
		n := binary.BigEndian.Uint32([]byte(rest[:4]))
		found[name] = []byte(rest[4 : 4+n])
		text = rest[4+n:]
	}
	return found
}

// canonical writes the entry into a digest: every field with its length, but for what file systems may count differently.
func (e *entry) canonical(digest hash.Hash) {
	var line bytes.Buffer
	for _, text := range []string{e.Path, string(e.Type), e.Link, e.Leader, e.Xattrs, string(e.Sum)} {
		line.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
		line.WriteString(text)
	}
	for _, number := range []uint64{uint64(e.Size), uint64(e.Mode), uint64(e.UID), uint64(e.GID), uint64(e.Mtime), e.Device} {
		line.Write(binary.BigEndian.AppendUint64(nil, number))
	}
	digest.Write(line.Bytes())
}

// before orders paths as the walk does: a folder, what is in it, then what comes after it.
func before(a, b string) bool {
	return strings.ReplaceAll(a, "/", "\x00") < strings.ReplaceAll(b, "/", "\x00")
}

// same: by everything that can be seen without reading the content. Holes are left to the proof.
func (e *entry) same(other *entry) bool {
	return e.Type == other.Type && e.Size == other.Size && e.Mtime == other.Mtime && e.Mode == other.Mode && e.UID == other.UID &&
		e.GID == other.GID && e.Link == other.Link && e.Device == other.Device && e.Leader == other.Leader && e.Xattrs == other.Xattrs
}

// differences names what is not the same, in words, content and holes included.
func (e *entry) differences(other *entry) []string {
	if e.Type != other.Type {
		return []string{fmt.Sprintf("type %c, on the target %c", e.Type, other.Type)}
	}
	var found []string
	note := func(name string, same bool, here, there any) {
		if !same {
			found = append(found, fmt.Sprintf("%s %v, on the target %v", name, here, there))
		}
	}
	note("hard link to", e.Leader == other.Leader, quote(e.Leader), quote(other.Leader))
	note("size", e.Size == other.Size, e.Size, other.Size)
	note("mode", e.Mode == other.Mode, fmt.Sprintf("%04o", e.Mode), fmt.Sprintf("%04o", other.Mode))
	note("owner", e.UID == other.UID && e.GID == other.GID, fmt.Sprintf("%d:%d", e.UID, e.GID), fmt.Sprintf("%d:%d", other.UID, other.GID))
	note("modified", e.Mtime == other.Mtime, e.Mtime, other.Mtime)
	note("symlink to", e.Link == other.Link, quote(e.Link), quote(other.Link))
	note("device", e.Device == other.Device, e.Device, other.Device)
	if e.Xattrs != other.Xattrs {
		found = append(found, "extended attributes or ACLs")
	}
	if !bytes.Equal(e.Sum, other.Sum) {
		found = append(found, fmt.Sprintf("content: SHA-256 %.12x, on the target %.12x", e.Sum, other.Sum))
	}
	if e.sparse() && other.Allocated > e.Allocated+max(e.Allocated/4, 1<<20) {
		found = append(found, fmt.Sprintf("holes: %d bytes on disk, on the target %d", e.Allocated, other.Allocated))
	}
	return found
}

func quote(path string) string {
	return fmt.Sprintf("%q", path)
}
