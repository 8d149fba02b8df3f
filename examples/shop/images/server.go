package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"
)

// How long requests may still run after SIGTERM; shorter than the pod's grace period.
const drain = 25 * time.Second

// serve answers on $PORT (8080) until ctx ends, then lets running requests finish.
// `ready` is asked by GET /readyz; nil means always ready.
func serve(ctx context.Context, mux *http.ServeMux, ready func(context.Context) error) error {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if ready != nil {
			if err := ready(r.Context()); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		io.WriteString(w, "ready\n")
	})
	mux.HandleFunc("GET /slow", slow)

	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	server := &http.Server{Addr: ":" + port, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		slog.Info("draining")
		limit, cancel := context.WithTimeout(context.Background(), drain)
		defer cancel()
		stopped <- server.Shutdown(limit)
	}()
	slog.Info("listening", "port", port)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// slow answers after ?s= seconds (at most a minute): what a request in flight during a rollout looks like.
func slow(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.ParseFloat(r.URL.Query().Get("s"), 64)
	if err != nil || seconds < 0 || seconds > 60 {
		http.Error(w, "s must be a number of seconds from 0 to 60", http.StatusBadRequest)
		return
	}
	select {
	case <-time.After(time.Duration(seconds * float64(time.Second))):
		writeJSON(w, http.StatusOK, map[string]any{"slept": seconds})
	case <-r.Context().Done():
	}
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		slog.Warn("answer not sent", "error", err)
	}
}

// fail answers with a status and logs the cause, which is not for the client.
func fail(w http.ResponseWriter, err error) {
	slog.Error("request failed", "error", err)
	writeJSON(w, http.StatusBadGateway, map[string]string{"error": "a backend did not answer"})
}
