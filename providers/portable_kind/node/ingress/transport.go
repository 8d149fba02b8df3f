package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"golang.org/x/sys/unix"
)

func init() { caddy.RegisterModule(transport{}) }

const (
	// A pod that takes no packets for so long is gone with its node, and said no word of it.
	deadAfter = 5 * time.Second
	lookEvery = time.Second
)

var errNotReady = errors.New("the pod stopped being ready before it answered")

// transport is Caddy's own, but for pods that neither answer nor hang up: one that hangs while its port still accepts, and one
// whose node was lost. A request that may be sent again is then taken back, so that Caddy tries it elsewhere.
type transport struct{ *reverseproxy.HTTPTransport }

func (transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.portable",
		New: func() caddy.Module { return &transport{new(reverseproxy.HTTPTransport)} },
	}
}

func (t *transport) Provision(ctx caddy.Context) error {
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return err
	}
	dial := t.Transport.DialContext
	t.Transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := dial(ctx, network, address)
		if err == nil {
			err = giveUpOnDead(connection)
		}
		return connection, err
	}
	return nil
}

// giveUpOnDead has the kernel end the connection when data, or a probe of an idle wait, is not acknowledged in time.
func giveUpOnDead(connection net.Conn) error {
	raw, ok := connection.(syscall.Conn)
	if !ok {
		return nil
	}
	socket, err := raw.SyscallConn()
	if err != nil {
		return err
	}
	var refused error
	err = socket.Control(func(handle uintptr) {
		refused = unix.SetsockoptInt(int(handle), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds()))
	})
	return errors.Join(err, refused)
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !repeatable(r) {
		return t.HTTPTransport.RoundTrip(r)
	}
	ctx, takeBack := context.WithCancelCause(r.Context())
	answered := make(chan struct{})
	go func() {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		for {
			select {
			case <-answered:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
				if current.Load().notReady[r.URL.Host] {
					takeBack(errNotReady)
				}
			}
		}
	}()
	response, err := t.HTTPTransport.RoundTrip(r.WithContext(ctx))
	close(answered)
	if err != nil {
		defer takeBack(nil)
		if context.Cause(ctx) == errNotReady { // Caddy takes a plain "canceled" for the client's doing
			err = errNotReady
		}
	}
	return response, err
}

// repeatable says whether a request may be sent again by all that HTTP knows of it (RFC 9110, 9.2.1), with no body to send twice.
func repeatable(r *http.Request) bool {
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	return safe && (r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0)
}
