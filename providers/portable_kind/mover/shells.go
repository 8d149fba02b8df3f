package main

import (
	"bufio"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// shells connects each `mover shell` of this pod with an rsync of the other end.
func (m *mover) shells(ctx context.Context) error {
	os.Remove(shellSocket)
	return listen(ctx, "unix", shellSocket, func(conn net.Conn) {
		if err := m.connectShell(ctx, conn.(*net.UnixConn)); err != nil {
			log.Printf("rsync: %v", err)
			conn.Close()
		}
	})
}

func (m *mover) connectShell(ctx context.Context, conn *net.UnixConn) error {
	reader := bufio.NewReader(conn)
	head, err := reader.ReadString('\n')
	if err != nil {
		return err
	}
	length, err := strconv.Atoi(strings.TrimSpace(head))
	if err != nil || length > 1<<16 {
		return errors.New("not a shell's greeting")
	}
	line := make([]byte, length)
	if _, err := io.ReadFull(reader, line); err != nil {
		return err
	}
	var arguments []string
	if err := json.Unmarshal(line, &arguments); err != nil || len(arguments) < 4 {
		return errors.New("not a shell's greeting")
	}
	stream, err := m.tunnel.open(ctx)
	if err != nil {
		return err
	}
	claim := arguments[0] // then the host, which is always the other end, and rsync's own command
	if err := gob.NewEncoder(stream).Encode(hello{Kind: "rsync", Claim: claim, Arguments: arguments[2:]}); err != nil {
		return err
	}
	local := &localShell{UnixConn: conn, reader: reader}
	m.mutex.Lock()
	if run := m.running[claim]; run != nil && run.copying != nil {
		local.sent = counted{io.Discard, &run.copying.sent}
	}
	m.mutex.Unlock()
	splice(stream, local)
	return nil
}

type localShell struct {
	*net.UnixConn
	reader *bufio.Reader
	sent   io.Writer
}

func (l *localShell) Read(data []byte) (int, error) {
	n, err := l.reader.Read(data)
	if l.sent != nil && n > 0 {
		l.sent.Write(data[:n])
	}
	return n, err
}

// rsync runs the other half of an rsync, in the volume that it is for and in no other way than as a server.
func (m *mover) rsync(greeting hello, stream io.ReadWriteCloser, reader *bufio.Reader) error {
	arguments := greeting.Arguments
	root := m.volume(greeting.Claim) + "/"
	if len(arguments) < 4 || arguments[0] != "rsync" || arguments[1] != "--server" || arguments[len(arguments)-1] != root ||
		slices.Contains(arguments, "--sender") {
		return errors.New("refused: not what the source's mover asks for")
	}
	command := exec.Command("rsync", arguments[1:]...)
	command.Dir = root
	command.Stdout, command.Stderr = stream, os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	go func() {
		io.Copy(in, reader)
		in.Close()
	}()
	return command.Wait()
}
