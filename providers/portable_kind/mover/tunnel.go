package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// tunnel keeps the connections to the other end. Who dials is apart from who is TLS's client: that is always the source,
// so that a connection which the operator's machine pipes between two listening ends is encrypted from end to end too.
type tunnel struct {
	role   string
	config *tls.Config
	accept func(io.ReadWriteCloser)

	mutex    sync.Mutex
	sessions []*yamux.Session
	next     int
	arrived  chan struct{} // closed and made anew whenever a session arrives
}

const (
	handshakePatience = 15 * time.Second
	sessionPatience   = 45 * time.Second
	streamWindow      = 4 << 20
	firstWait         = 200 * time.Millisecond
)

func newTunnel(role string, config *tls.Config, accept func(io.ReadWriteCloser)) *tunnel {
	return &tunnel{role: role, config: config, accept: accept, arrived: make(chan struct{})}
}

// tlsConfig: TLS 1.3, each end with a certificate of the migration's own authority, which signed these two and was forgotten.
func tlsConfig(role, folder string) (*tls.Config, error) {
	own, err := tls.LoadX509KeyPair(filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"))
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil {
		return nil, err
	}
	authority := x509.NewCertPool()
	if !authority.AppendCertsFromPEM(pem) {
		return nil, errors.New("ca.crt holds no certificate")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}}
	if role == "source" {
		config.RootCAs, config.ServerName = authority, "target"
	} else {
		config.ClientCAs, config.ClientAuth = authority, tls.RequireAndVerifyClientCert
	}
	return config, nil
}

// listen hands each connection to a goroutine of its own, until ctx ends.
func listen(ctx context.Context, network, address string, handle func(net.Conn)) error {
	listener, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go handle(conn)
	}
}

func (t *tunnel) listen(ctx context.Context, address string) error {
	return listen(ctx, "tcp", address, func(conn net.Conn) {
		// Load balancers knock to see whether a port answers: a connection that ends before it spoke is not worth a line.
		session, err := t.secure(ctx, conn)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				log.Printf("a connection from %s was refused: %v", conn.RemoteAddr(), err)
			}
			return
		}
		t.serve(session)
	})
}

func (t *tunnel) keepDialled(ctx context.Context, address string) {
	for wait := firstWait; ctx.Err() == nil; {
		session, err := t.dial(ctx, address)
		if err != nil {
			log.Printf("%s: %v", address, err)
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			wait = min(2*wait, 5*time.Second)
			continue
		}
		wait = firstWait
		t.serve(session)
	}
}

func (t *tunnel) dial(ctx context.Context, address string) (*yamux.Session, error) {
	dialer := net.Dialer{Timeout: handshakePatience}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return t.secure(ctx, conn)
}

func (t *tunnel) secure(ctx context.Context, conn net.Conn) (*yamux.Session, error) {
	deadline, stop := context.WithTimeout(ctx, handshakePatience)
	defer stop()
	settings := yamux.DefaultConfig()
	settings.MaxStreamWindowSize = streamWindow
	settings.KeepAliveInterval = 5 * time.Second
	settings.LogOutput = io.Discard
	var session *yamux.Session
	var secured *tls.Conn
	var err error
	raw := newCoalescing(conn)
	if t.role == "source" {
		secured = tls.Client(raw, t.config)
	} else {
		secured = tls.Server(raw, t.config)
	}
	if err = secured.HandshakeContext(deadline); err != nil {
		raw.Close() // after the other end was told why
		return nil, err
	}
	if t.role == "source" {
		session, err = yamux.Client(secured, settings)
	} else {
		session, err = yamux.Server(secured, settings)
	}
	if err == nil {
		// In TLS 1.3 the client ends its handshake before the server has looked at its certificate: ask for an answer.
		pinged := make(chan error, 1)
		go func() { _, err := session.Ping(); pinged <- err }()
		select {
		case err = <-pinged:
		case <-deadline.Done():
			err = errors.New("the other end does not answer")
		}
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	return session, nil
}

// serve takes the other end's streams until the session ends; meanwhile the session is there to open streams on.
func (t *tunnel) serve(session *yamux.Session) {
	t.mutex.Lock()
	t.sessions = append(t.sessions, session)
	close(t.arrived)
	t.arrived = make(chan struct{})
	t.mutex.Unlock()
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			break
		}
		go t.accept(stream)
	}
	session.Close()
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for i, other := range t.sessions {
		if other == session {
			t.sessions = append(t.sessions[:i:i], t.sessions[i+1:]...)
			break
		}
	}
}

// open gives a new stream to the other end, on each session in turn. It waits a while for one where there is none.
func (t *tunnel) open(ctx context.Context) (*yamux.Stream, error) {
	ctx, stop := context.WithTimeout(ctx, sessionPatience)
	defer stop()
	for {
		t.mutex.Lock()
		arrived := t.arrived
		var session *yamux.Session
		if n := len(t.sessions); n > 0 {
			session = t.sessions[t.next%n]
			t.next++
		}
		t.mutex.Unlock()
		if session != nil && !session.IsClosed() {
			if stream, err := session.OpenStream(); err == nil {
				return stream, nil
			}
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return nil, &failure{Kind: "disconnected", Message: "there is no connection to the mover of the other end"}
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// openFor is open for one piece of work: the stream ends with it, or when ctx does, also under a read or write that waits.
func (t *tunnel) openFor(ctx context.Context) (stream *yamux.Stream, end func(), err error) {
	stream, err = t.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	stopped := context.AfterFunc(ctx, func() { stream.Close(); stream.SetDeadline(time.Now()) })
	return stream, func() { stopped(); stream.Close() }, nil
}

func (t *tunnel) count() int {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return len(t.sessions)
}

// splice carries bytes both ways until both directions have ended, or one has failed.
func splice(a, b io.ReadWriteCloser) {
	var both sync.WaitGroup
	carry := func(to, from io.ReadWriteCloser) {
		defer both.Done()
		_, err := io.Copy(to, from)
		if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
			half.CloseWrite()
			return
		}
		to.Close() // of a yamux stream: its own direction only
	}
	both.Add(2)
	go carry(a, b)
	go carry(b, a)
	both.Wait()
	a.Close()
	b.Close()
}

// failure is an error that the operator's machine turns into words of its own, by its kind.
type failure struct {
	Kind    string `json:"kind"` // disconnected, full, permission, changed, empty, missing, failed
	Message string `json:"message"`
	Path    string `json:"path,omitempty"`
	Free    uint64 `json:"free,omitempty"`
	Size    uint64 `json:"size,omitempty"`
}

func (f *failure) Error() string {
	if f.Path != "" {
		return fmt.Sprintf("%s: %s", f.Path, f.Message)
	}
	return f.Message
}
