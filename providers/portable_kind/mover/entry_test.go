package main

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Both ends list by themselves and are compared as they come: that stands and falls with one order.
func TestAWalkIsInTheOrderThatItsPathsAreComparedIn(t *testing.T) {
	root := t.TempDir()
	for _, path := range []string{"a/x", "a-b", "a/y/z", "a.b/c", "A", "a\nb", "\xff", "b", "a0/q"} {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	walk := &walking{root: root}
	var found []string
	for e, err := range walk.walk(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, e.Path)
	}
	if len(found) != 13 {
		t.Fatalf("%d names: %q", len(found), found)
	}
	if !sort.SliceIsSorted(found, func(i, j int) bool { return before(found[i], found[j]) }) {
		t.Errorf("not in order: %q", found)
	}
}

func TestAttributesAreReadAsTheyWereWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	wanted := map[string]string{"user.b": "2", "user.a": "with\x00nul", "user.empty": ""}
	for name, value := range wanted {
		if err := unix.Setxattr(file, name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	found, err := xattrs(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed := parseXattrs(found)
	for name, value := range wanted {
		if string(parsed[name]) != value {
			t.Errorf("%s: %q", name, parsed[name])
		}
	}
	if len(parsed) != len(wanted) {
		t.Errorf("%q", parsed)
	}
}

func TestDifferencesAreNamed(t *testing.T) {
	mine := entry{Path: "x", Type: 'f', Size: 1 << 20, Mode: 0o644, Allocated: 4096, Sum: []byte{1}}
	there := mine
	if said := mine.differences(&there); len(said) != 0 {
		t.Errorf("the same: %q", said)
	}
	there.Mode, there.UID, there.Sum, there.Allocated = 0o600, 7, []byte{2}, 8<<20
	said := strings.Join(mine.differences(&there), "; ")
	for _, word := range []string{"mode 0644, on the target 0600", "owner", "content", "holes"} {
		if !strings.Contains(said, word) {
			t.Errorf("%q is not in %q", word, said)
		}
	}
}
