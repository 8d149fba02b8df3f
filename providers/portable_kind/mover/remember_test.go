package main

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func prove(t *testing.T, source *mover, ahead bool) verified {
	t.Helper()
	proof, err := (&verifying{mover: source, claim: claim, root: source.volume(claim), top: true, ahead: ahead}).run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

func large(t *testing.T, source *mover) string {
	t.Helper()
	content := make([]byte, 3<<20)
	rand.Read(content)
	full := filepath.Join(source.volume(claim), "large")
	if err := os.WriteFile(full, content, 0o644); err != nil {
		t.Fatal(err)
	}
	fill(t, source.volume(claim), 10, 100)
	return full
}

// A sum that is made wrong is believed: so the file was not read again.
func TestWhatWasReadAheadIsNotReadAgain(t *testing.T) {
	source, _ := ends(t)
	large(t, source)
	copyOnce(t, source, true)
	if ahead := prove(t, source, true); ahead.Known != 3<<20 {
		t.Errorf("%d bytes are known", ahead.Known)
	}
	for node, wrong := range source.known.sums {
		wrong.sum[0]++
		source.known.sums[node] = wrong
	}
	if proof := prove(t, source, false); len(proof.Differences) != 1 || !strings.Contains(proof.Differences[0], "content") {
		t.Errorf("%q", proof.Differences)
	}
}

// A change that no listing shows: same size, same time.
func TestAChangeIsFoundThoughTheFileWasKnown(t *testing.T) {
	for _, changed := range []string{"source", "target"} {
		source, target := ends(t)
		large(t, source)
		copyOnce(t, source, true)
		prove(t, source, true)
		at := filepath.Join(map[string]*mover{"source": source, "target": target}[changed].volume(claim), "large")
		var before unix.Stat_t
		if err := unix.Stat(at, &before); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(at, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		file.WriteAt([]byte("another"), 1<<20)
		file.Close()
		if err := unix.UtimesNano(at, []unix.Timespec{before.Atim, before.Mtim}); err != nil {
			t.Fatal(err)
		}
		if proof := prove(t, source, false); len(proof.Differences) != 1 || !strings.Contains(proof.Differences[0], "content") {
			t.Errorf("%s: %q", changed, proof.Differences)
		}
	}
}

// A page that is mapped may change without a trace for as long as it is dirty.
func TestAFileThatHasJustChangedIsReadAgain(t *testing.T) {
	source, _ := ends(t)
	source.known.settled = time.Hour
	large(t, source)
	copyOnce(t, source, true)
	if ahead := prove(t, source, true); ahead.Known != 0 || len(source.known.sums) != 0 {
		t.Errorf("%d bytes are known", ahead.Known)
	}
}

// What comes and goes while it is read ahead is no failure.
func TestReadingAheadBesideAnAppThatWrites(t *testing.T) {
	source, _ := ends(t)
	large(t, source)
	copyOnce(t, source, true)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				full := filepath.Join(source.volume(claim), "0000", "fleeting")
				os.WriteFile(full, []byte("here and gone"), 0o644)
				os.Remove(full)
			}
		}
	}()
	for range 50 {
		prove(t, source, true)
	}
	close(stop)
	<-ended
}
