package main

import (
	"context"
	_ "embed"
	"net/http"
	"net/http/httputil"
	"net/url"
)

//go:embed page.html
var page []byte

// web serves the page and passes /api/ and /uploads/ on to the workloads behind it.
func web(ctx context.Context) error {
	mux := http.NewServeMux()
	for prefix, name := range map[string]string{"/api/": "API_URL", "/uploads/": "UPLOADS_URL"} {
		value, err := variable(name)
		if err != nil {
			return err
		}
		target, err := url.Parse(value)
		if err != nil {
			return err
		}
		mux.Handle(prefix, httputil.NewSingleHostReverseProxy(target))
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("X-Shop-Version", version)
		w.Write(page)
	})
	return serve(ctx, mux, nil)
}
