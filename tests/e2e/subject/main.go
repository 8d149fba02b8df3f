// Subject: the app that the promises are proven on. It greets like examples/hello, is slow or busy when asked, and dies in
// every way that a real app does.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

var version = "dev" // set by the linker

// hung is held by every answer, and for ever by /hang: the port then accepts, and nobody answers.
var hung sync.RWMutex

func main() {
	if os.Getenv("CRASH") != "" {
		log.Fatal("the setting CRASH makes this version crash")
	}
	pod, data := os.Getenv("HOSTNAME"), os.Getenv("DATA")
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { greet(w, pod) })
	http.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(amount(r, "ms"))
		greet(w, pod)
	})
	http.HandleFunc("GET /burn", func(w http.ResponseWriter, r *http.Request) {
		for until := time.Now().Add(amount(r, "ms")); time.Now().Before(until); {
		}
		greet(w, pod)
	})
	http.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if os.Getenv("NEVER_READY") != "" {
			http.Error(w, "the setting NEVER_READY keeps this version from being ready", http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("POST /fill", func(http.ResponseWriter, *http.Request) { fill() })
	http.HandleFunc("POST /notes", func(w http.ResponseWriter, r *http.Request) { answer(w, note(filepath.Join(data, "notes"), r.Body)) })
	http.HandleFunc("GET /notes", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, filepath.Join(data, "notes")) })
	http.HandleFunc("POST /hang", func(w http.ResponseWriter, _ *http.Request) { go hung.Lock() })
	serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hung.RLock()
		defer hung.RUnlock()
		http.DefaultServeMux.ServeHTTP(w, r)
	}))
}

func greet(w io.Writer, pod string) {
	fmt.Fprintf(w, "%s from %s, version %s\n", os.Getenv("GREETING"), pod, version)
}

func amount(r *http.Request, key string) time.Duration {
	number, _ := strconv.Atoi(r.URL.Query().Get(key))
	return time.Duration(number) * time.Millisecond
}

// fill takes memory until the kernel ends the process. Written to, so that it is real.
func fill() {
	for kept := [][]byte{}; ; {
		block := make([]byte, 8<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		kept = append(kept, block)
	}
}

// note appends a line, on disk before it is acknowledged.
func note(path string, line io.Reader) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := io.ReadAll(line)
	if err != nil {
		return err
	}
	if _, err := file.Write(append(text, '\n')); err != nil {
		return err
	}
	return file.Sync()
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func serve(handler http.Handler) {
	server := &http.Server{Addr: ":8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	drained := make(chan error, 1)
	go func() {
		<-stop.Done()
		limit, cancel := context.WithTimeout(context.Background(), 25*time.Second)
		defer cancel()
		drained <- server.Shutdown(limit)
	}()
	log.Printf("subject %s listens on port 8080", version)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	if err := <-drained; err != nil {
		log.Fatal(err)
	}
}
