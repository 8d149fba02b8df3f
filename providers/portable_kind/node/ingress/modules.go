package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func init() {
	caddy.RegisterModule(routeHandler{})
	caddy.RegisterModule(upstreamSource{})
	caddy.RegisterModule(certificateSource{})
}

const backendVariable = "portable.backend"

// routeHandler finds a request's backend, or answers it: 404 for no route, a redirect where the host wants TLS.
type routeHandler struct{}

func (routeHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.portable_route", New: func() caddy.Module { return new(routeHandler) }}
}

func (routeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	table := current.Load()
	found := table.match(r.Host, r.URL.Path)
	switch {
	case found == nil:
		http.Error(w, "no route for this host and path", http.StatusNotFound)
		return nil
	case found.https && r.TLS == nil:
		http.Redirect(w, r, "https://"+securePlace(r.Host, table.httpsPort)+r.URL.RequestURI(), http.StatusPermanentRedirect)
		return nil
	}
	caddyhttp.SetVar(r.Context(), backendVariable, found.backend)
	return next.ServeHTTP(w, r)
}

func securePlace(hostPort, httpsPort string) string {
	host := hostPort
	if name, _, err := net.SplitHostPort(hostPort); err == nil {
		host = name
	}
	if httpsPort == "" || httpsPort == "443" {
		return host
	}
	return net.JoinHostPort(host, httpsPort)
}

// upstreamSource is asked before every try, so a retry sees the endpoints of that moment.
type upstreamSource struct{}

func (upstreamSource) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.upstreams.portable", New: func() caddy.Module { return new(upstreamSource) }}
}

func (upstreamSource) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	key, ok := caddyhttp.GetVar(r.Context(), backendVariable).(backendKey)
	if !ok {
		return nil, errors.New("the request has no backend")
	}
	endpoints := current.Load().endpoints[key]
	upstreams := make([]*reverseproxy.Upstream, len(endpoints))
	for i, endpoint := range endpoints {
		upstreams[i] = &reverseproxy.Upstream{Dial: endpoint}
	}
	return upstreams, nil
}

// certificateSource gives the handshake the certificate of a TLS secret.
type certificateSource struct{}

func (certificateSource) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.get_certificate.portable", New: func() caddy.Module { return new(certificateSource) }}
}

func (certificateSource) GetCertificate(_ context.Context, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if found := current.Load().certificate(hello.ServerName); found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("no Ingress brings a certificate for %q", hello.ServerName)
}
