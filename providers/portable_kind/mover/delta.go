package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Files that both ends have go by rsync, which sends only the blocks that differ: also the rest of what an earlier try began.
// https://download.samba.org/pub/rsync/rsync.1

const shellSocket = "/run/mover/shell.sock"

const (
	rsyncInputOutput = 11 // reading or writing failed; why may be known to the other end alone
	rsyncVanished    = 24 // files were gone when their turn came
)

// delta sends changed files with several rsyncs at once, the big ones spread over them.
func (c *copying) delta(ctx context.Context, files []entry) error {
	sort.Slice(files, func(i, j int) bool { return files[i].Size > files[j].Size })
	shares := make([][]entry, min(c.streams, len(files)))
	for i, file := range files {
		shares[i%len(shares)] = append(shares[i%len(shares)], file)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for _, share := range shares {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := c.rsync(ctx, share); err != nil {
				cancel(err)
			}
		}()
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.unsettle(ctx, files)
}

func (c *copying) rsync(ctx context.Context, files []entry) error {
	var list bytes.Buffer
	for _, file := range files {
		list.WriteString(file.Path + "\x00")
	}
	arguments := []string{
		"--files-from=-", "--from0", "--no-implied-dirs", "--times", "--inplace", "--sparse", "--no-whole-file",
		"--ignore-times", // it is known that they differ, and rsync looks at whole seconds only
		"--blocking-io", "--out-format=%l", "--rsh=/usr/local/bin/mover shell " + c.claim,
	}
	if c.compress {
		arguments = append(arguments, "--compress", "--compress-choice=zstd", "--compress-level=1")
	}
	command := exec.CommandContext(ctx, "rsync", append(arguments, c.root+"/", "peer:"+volumes+"/"+c.claim+"/")...)
	command.Stdin = &list
	command.WaitDelay = 5 * time.Second
	var words bytes.Buffer
	command.Stderr = &words
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	lines := json.NewDecoder(out) // one number for each file that is through
	for {
		var size int64
		if lines.Decode(&size) != nil {
			break
		}
		c.filesDone.Add(1)
		c.bytesDone.Add(size)
	}
	io.Copy(io.Discard, out)
	err = command.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == rsyncVanished && !c.final {
		return nil
	}
	if err != nil {
		found := rsyncFailure(err, words.String())
		if len(files) == 1 {
			found.Path = files[0].Path
		}
		if found.Kind == "full" || exit != nil && exit.ExitCode() == rsyncInputOutput {
			c.room(ctx, found)
		}
		return found
	}
	return nil
}

// room asks the other end how large its disk is, and whether it is full, which rsync does not tell.
func (c *copying) room(ctx context.Context, found *failure) {
	asking := &orders{mover: c.mover, claim: c.claim}
	defer asking.close()
	var told *failure
	if errors.As(asking.do(ctx, operation{Kind: 'f'}), &told) && (found.Kind == "full" || told.Free < deltaFrom) {
		found.Kind, found.Message, found.Free, found.Size = "full", told.Message, told.Free, told.Size
	}
}

func rsyncFailure(err error, words string) *failure {
	lines := strings.Split(strings.TrimSpace(words), "\n")
	found := &failure{Kind: "failed", Message: fmt.Sprintf("rsync: %v: %s", err, strings.Join(lines[max(0, len(lines)-3):], "; "))}
	var exit *exec.ExitError
	switch {
	case strings.Contains(words, "No space left on device"), strings.Contains(words, "quota exceeded"):
		found.Kind = "full"
	case errors.As(err, &exit) && (exit.ExitCode() == 10 || exit.ExitCode() == 12 || exit.ExitCode() == 30 || exit.ExitCode() == 255):
		found.Kind = "disconnected"
	case strings.Contains(words, "Permission denied"), strings.Contains(words, "Operation not permitted"):
		found.Kind = "permission"
	}
	return found
}

// unsettle marks what was written to a moment ago, so that the next copy looks at it again.
func (c *copying) unsettle(ctx context.Context, files []entry) error {
	if c.final {
		return nil
	}
	marking := &orders{mover: c.mover, claim: c.claim}
	defer marking.close()
	for _, file := range files {
		live, _, _, err := look(c.root, file.Path)
		if err != nil || time.Since(time.Unix(0, live.Mtime)) > settling+time.Since(c.began) {
			continue
		}
		live.Mtime--
		live.Mode, live.UID, live.GID, live.Xattrs = file.Mode, file.UID, file.GID, file.Xattrs
		if err := marking.do(ctx, operation{Kind: 'm', Entry: live}); err != nil {
			return err
		}
	}
	return nil
}

// shell is what rsync takes for the way to the other end: it hands its arguments and its streams to the mover that runs in this pod.
func shell(arguments []string) int {
	conn, err := net.Dial("unix", shellSocket)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mover shell:", err)
		return 255
	}
	line, _ := json.Marshal(arguments)
	if _, err := conn.Write([]byte(strconv.Itoa(len(line)) + "\n" + string(line))); err != nil {
		return 255
	}
	go func() {
		io.Copy(conn, os.Stdin)
		conn.(*net.UnixConn).CloseWrite()
	}()
	if _, err := io.Copy(os.Stdout, conn); err != nil {
		return 255
	}
	return 0
}
