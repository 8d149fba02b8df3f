package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// `mover routes` stands behind the source's load balancer once the target serves: every request for one of the app's hosts goes on to
// the target's load balancer, under the same name, over TLS where the target has it.

const (
	routesPort = ":8080"
	// Longer than load balancers keep idle connections to what is behind them (Google's: ten minutes), so that it is never this end
	// that closes one under a request.
	routesIdle = 650 * time.Second
	// Shorter than what common servers keep idle connections for.
	routesUpstreamIdle = 3 * time.Second
	routesProbePath    = "/.well-known/portable-forwarding"
	routesProbeHeader  = "Portable-Forwarding"
)

// routesFile is what the operator wrote. Migration: the answer to a probe. Hosts: by name, "*.example.com" too.
type routesFile struct {
	Migration string              `json:"migration"`
	Hosts     map[string]upstream `json:"hosts"`
}

// upstream: Address is a name or an IP. Authorities: PEM of whom to trust; empty: a name that nobody certifies.
type upstream struct {
	Address     string `json:"address"`
	Port        int    `json:"port"`
	TLS         bool   `json:"tls"`
	Authorities string `json:"authorities"`
	transport   *http.Transport
}

func routes(arguments []string) error {
	flags := flag.NewFlagSet("mover routes", flag.ContinueOnError)
	file := flags.String("file", "/etc/portable/routes.json", "where requests go, by host")
	linger := flags.Duration("linger", 20*time.Second, "how long load balancers may take to send no more after the end was asked for")
	drain := flags.Duration("drain", 60*time.Second, "how long requests in flight may take then")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	config, err := readRoutes(*file)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: routesPort, Handler: config, IdleTimeout: routesIdle, ReadHeaderTimeout: 60 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		time.Sleep(*linger)
		last, cancel := context.WithTimeout(context.Background(), *drain)
		defer cancel()
		ended <- server.Shutdown(last)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}

func readRoutes(file string) (*routesFile, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	config := &routesFile{}
	if err := json.Unmarshal(text, config); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for host, to := range config.Hosts {
		if to.transport, err = to.dialling(); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, host, err)
		}
		config.Hosts[host] = to
	}
	return config, nil
}

// dialling: connections go to the address, whatever DNS says of the request's host; that host is what the certificate has to be for.
func (u upstream) dialling() (*http.Transport, error) {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	at := net.JoinHostPort(u.Address, fmt.Sprint(u.Port))
	trust := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: u.Authorities == ""}
	if u.Authorities != "" {
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM([]byte(u.Authorities)) {
			return nil, errors.New("no certificate among the authorities")
		}
	}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, at)
		},
		TLSClientConfig:     trust,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 200,
		IdleConnTimeout:     routesUpstreamIdle,
		DisableCompression:  true,
	}, nil
}

func (f *routesFile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := strings.ToLower(r.Host)
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	to, known := f.Hosts[host]
	if !known {
		if _, parent, found := strings.Cut(host, "."); found {
			to, known = f.Hosts["*."+parent]
		}
	}
	// Load balancers look after what is behind them under an address, which is no host of the app's.
	if !known || r.URL.Path == routesProbePath {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintln(w, f.Migration)
		return
	}
	if r.Header.Get(routesProbeHeader) == f.Migration {
		w.Header().Set(routesProbeHeader, f.Migration)
	}
	to.proxy(host).ServeHTTP(w, r)
}

func (u upstream) proxy(host string) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:     u.transport,
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", host
			if u.TLS {
				r.Out.URL.Scheme = "https"
			}
			r.Out.Host = r.In.Host
			// What the source's load balancer said of the client stays said.
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if values, found := r.In.Header[name]; found {
					r.Out.Header[name] = values
				}
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			log.Printf("%s %s%s: %v", r.Method, r.Host, r.URL.Path, err)
			http.Error(w, "the app moved, and does not answer where it is now", http.StatusBadGateway)
		},
	}
}
