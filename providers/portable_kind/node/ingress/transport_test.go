package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// hanging serves nobody until the test ends.
func hanging(t *testing.T) (*httptest.Server, *transport) {
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	t.Cleanup(func() { close(over); server.Close() })
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	made := &transport{new(reverseproxy.HTTPTransport)}
	if err := made.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	current.Store(&table{notReady: map[string]bool{}})
	return server, made
}

func request(t *testing.T, ctx context.Context, method, url string) *http.Request {
	made, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestARequestToAPodThatIsNoLongerReadyIsTakenBack(t *testing.T) {
	server, transport := hanging(t)
	time.AfterFunc(100*time.Millisecond, func() {
		current.Store(&table{notReady: map[string]bool{server.Listener.Addr().String(): true}})
	})
	_, err := transport.RoundTrip(request(t, t.Context(), "GET", server.URL))
	if !errors.Is(err, errNotReady) || errors.Is(err, context.Canceled) {
		t.Errorf("Caddy tries again after an error of ours, not after %v", err)
	}
}

func TestOneThatMayNotBeSentTwiceIsLeftAlone(t *testing.T) {
	server, transport := hanging(t)
	current.Store(&table{notReady: map[string]bool{server.Listener.Addr().String(): true}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*lookEvery)
	defer cancel()
	if _, err := transport.RoundTrip(request(t, ctx, "POST", server.URL)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it waits for as long as its client does, not until %v", err)
	}
}

func TestAPodThatIsReadyMayTakeItsTime(t *testing.T) {
	server, transport := hanging(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*lookEvery)
	defer cancel()
	if _, err := transport.RoundTrip(request(t, ctx, "GET", server.URL)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it waits for as long as its client does, not until %v", err)
	}
}
