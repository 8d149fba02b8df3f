package main

import (
	"bufio"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

// request is one line of JSON; the answers are lines too: {"progress": ...} as it goes, then {"result": ...} or {"error": ...}.
type request struct {
	Do       string  `json:"do"` // status, survey, probe, copy, verify
	Claim    string  `json:"claim"`
	Top      bool    `json:"top"`
	Final    bool    `json:"final"`
	Ahead    bool    `json:"ahead"`
	Compress bool    `json:"compress"`
	Streams  int     `json:"streams"`
	Dial     string  `json:"dial"`
	Seconds  float64 `json:"seconds"`
}

type progress struct {
	FilesDone  int64 `json:"files_done"`
	FilesTotal int64 `json:"files_total"`
	BytesDone  int64 `json:"bytes_done"`
	BytesTotal int64 `json:"bytes_total"`
	Sent       int64 `json:"sent_bytes"`
	Listed     bool  `json:"listed"`
}

// run is a copy or a proof of one volume. A newer request for the same volume ends it: its operator's machine may be gone.
type run struct {
	cancel  context.CancelCauseFunc
	ended   chan struct{}
	copying *copying
}

func (m *mover) control(ctx context.Context) error {
	errs := make(chan error, 2)
	go func() { errs <- m.shells(ctx) }()
	go func() { errs <- listen(ctx, "tcp", controlAddress, func(conn net.Conn) { m.request(ctx, conn) }) }()
	return <-errs
}

func (m *mover) request(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	stopping := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var asked request
	reader := bufio.NewReader(conn)
	if err := json.NewDecoder(reader).Decode(&asked); err != nil {
		return
	}
	go func() { // the operator's machine hangs up: nobody waits for the rest
		io.Copy(io.Discard, reader)
		cancel(errors.New("the operator's machine has hung up"))
	}()
	out := json.NewEncoder(conn)
	result, err := m.carryOut(ctx, asked, func(p progress) {
		if out.Encode(map[string]any{"progress": p}) != nil {
			cancel(errors.New("the operator's machine has hung up"))
		}
	})
	if err == nil {
		out.Encode(map[string]any{"result": result})
		return
	}
	var told *failure
	if stopping.Err() != nil {
		told = &failure{Kind: "disconnected", Message: "the source's mover was stopped"}
	} else if !errors.As(err, &told) {
		told = &failure{Kind: "failed", Message: err.Error()}
	}
	out.Encode(map[string]any{"error": told})
}

func (m *mover) carryOut(ctx context.Context, asked request, tell func(progress)) (any, error) {
	switch asked.Do {
	case "status":
		return m.status(), nil
	case "probe":
		defer beat(func() progress { return progress{} }, tell)()
		return m.probe(ctx, asked)
	}
	if !m.knows(asked.Claim) {
		return nil, &failure{Kind: "failed", Message: "the claim " + asked.Claim + " is not mounted in this mover"}
	}
	switch asked.Do {
	case "survey":
		defer beat(func() progress { return progress{} }, tell)()
		return m.survey(ctx, asked.Claim)
	case "copy":
		copying := &copying{
			mover: m, claim: asked.Claim, root: m.volume(asked.Claim), top: asked.Top, final: asked.Final, compress: asked.Compress,
			streams: max(1, asked.Streams), began: time.Now(),
		}
		return m.alone(ctx, asked.Claim, copying, func() progress {
			return progress{
				copying.filesDone.Load(), copying.filesTotal.Load(), copying.bytesDone.Load(), copying.bytesTotal.Load(),
				copying.sent.Load(), copying.listed.Load(),
			}
		}, tell, func(ctx context.Context) (any, error) { return copying.run(ctx) })
	case "verify":
		verifying := &verifying{mover: m, claim: asked.Claim, root: m.volume(asked.Claim), top: asked.Top, ahead: asked.Ahead}
		return m.alone(ctx, asked.Claim, nil, func() progress {
			return progress{FilesDone: verifying.files.Load(), BytesDone: verifying.hashed.Load()}
		}, tell, func(ctx context.Context) (any, error) { return verifying.run(ctx) })
	}
	return nil, &failure{Kind: "failed", Message: "the mover does not know " + asked.Do}
}

func (m *mover) alone(
	ctx context.Context, claim string, copying *copying, far func() progress, tell func(progress), work func(context.Context) (any, error),
) (any, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	own := &run{cancel, make(chan struct{}), copying}
	m.mutex.Lock()
	older := m.running[claim]
	m.running[claim] = own
	m.mutex.Unlock()
	if older != nil {
		older.cancel(&failure{Kind: "failed", Message: "a newer request for this volume took over"})
		<-older.ended
	}
	stop := beat(far, tell)
	result, err := work(ctx)
	stop()
	close(own.ended)
	m.mutex.Lock()
	if m.running[claim] == own {
		delete(m.running, claim)
	}
	m.mutex.Unlock()
	return result, err
}

// beat tells how far it is until it is stopped, so that silence means that the mover is gone.
func beat(far func() progress, tell func(progress)) (stop func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-over:
				return
			case <-time.After(500 * time.Millisecond):
				tell(far())
			}
		}
	}()
	return func() { close(over); <-ended }
}

// askMover hands a request to the mover of this pod and prints its answers: for a person with `kubectl exec`.
func askMover(arguments []string) error {
	conn, err := net.Dial("tcp", controlAddress)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.Join(arguments, " ")+"\n"); err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, conn)
	return err
}

type status struct {
	Sessions int    `json:"sessions"`
	UID      int    `json:"uid"`
	Peak     string `json:"peak_memory"` // as /proc/self/status has it
}

func (m *mover) status() status {
	found := status{Sessions: m.tunnel.count(), UID: os.Geteuid()}
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if rest, is := strings.CutPrefix(line, "VmHWM:"); is {
			found.Peak = strings.TrimSpace(rest)
		}
	}
	return found
}

type measured struct {
	BytesPerSecond float64 `json:"bytes_per_second"`
}

// probe measures from the source to the target, over a connection that it dials for that, or over those that are there.
func (m *mover) probe(ctx context.Context, asked request) (any, error) {
	open := m.tunnel.open
	if asked.Dial != "" {
		session, err := m.tunnel.dial(ctx, asked.Dial)
		if err != nil {
			return nil, &failure{Kind: "disconnected", Message: err.Error()}
		}
		defer session.Close()
		open = func(context.Context) (*yamux.Stream, error) { return session.OpenStream() }
	}
	stream, err := open(ctx)
	if err != nil {
		return nil, lost(err)
	}
	defer stream.Close()
	length := time.Duration(asked.Seconds * float64(time.Second))
	stream.SetDeadline(time.Now().Add(length + 20*time.Second))
	began := time.Now()
	if m.role == "source" {
		var sent atomic.Int64
		err = errors.Join(gob.NewEncoder(stream).Encode(hello{Kind: "sink"}), flow(counted{stream, &sent}, length))
		return measured{float64(sent.Load()) / time.Since(began).Seconds()}, lost(err)
	}
	if err := gob.NewEncoder(stream).Encode(hello{Kind: "flow"}); err != nil {
		return nil, lost(err)
	}
	var n int64
	buffer := make([]byte, chunkSize)
	for time.Since(began) < length {
		read, err := stream.Read(buffer)
		if err != nil {
			return nil, lost(err)
		}
		n += int64(read)
	}
	return measured{float64(n) / time.Since(began).Seconds()}, nil
}
