package main

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// serving gives a forwarder for host, before a server that answers with what it was asked.
func serving(t *testing.T, secure bool, host string) *httptest.Server {
	t.Helper()
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, strings.Join([]string{r.Method, r.Host, r.URL.String(), r.Header.Get("X-Forwarded-For"), string(body)}, " "))
	})
	behind := httptest.NewUnstartedServer(answer)
	to := upstream{TLS: secure}
	if secure {
		behind.StartTLS()
		to.Authorities = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: behind.Certificate().Raw}))
	} else {
		behind.Start()
	}
	t.Cleanup(behind.Close)
	address, port, err := net.SplitHostPort(behind.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	to.Address = address
	to.Port, _ = strconv.Atoi(port)
	if to.transport, err = to.dialling(); err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(&routesFile{Migration: "m1", Hosts: map[string]upstream{host: to}})
	t.Cleanup(front.Close)
	return front
}

func ask(t *testing.T, front *httptest.Server, host, path string) (int, string, http.Header) {
	t.Helper()
	request, _ := http.NewRequest("POST", front.URL+path, strings.NewReader("body"))
	request.Host = host
	request.Header.Set("X-Forwarded-For", "192.0.2.7")
	request.Header.Set(routesProbeHeader, "m1")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), answer.Header
}

func TestARequestGoesOnUnderItsOwnName(t *testing.T) {
	for _, secure := range []bool{false, true} {
		front := serving(t, secure, "*.example.com")
		status, body, header := ask(t, front, "shop.example.com:8080", "/a%2Fb?c=d")
		if status != 200 || body != "POST shop.example.com:8080 /a%2Fb?c=d 192.0.2.7 body" {
			t.Errorf("secure %v: %d %q", secure, status, body)
		}
		if header.Get(routesProbeHeader) != "m1" {
			t.Error("a probe was not marked")
		}
	}
}

func TestACertificateForAnotherNameIsRefused(t *testing.T) {
	front := serving(t, true, "shop.test") // httptest's is for example.com
	if status, body, _ := ask(t, front, "shop.test", "/"); status != http.StatusBadGateway {
		t.Errorf("%d %q", status, body)
	}
}

func TestProbesAndStrangersAreAnsweredHere(t *testing.T) {
	front := serving(t, false, "shop.test")
	for host, path := range map[string]string{"shop.test": routesProbePath, "10.0.0.7": "/"} {
		if status, body, _ := ask(t, front, host, path); status != 200 || strings.TrimSpace(body) != "m1" {
			t.Errorf("%s%s: %d %q", host, path, status, body)
		}
	}
}
