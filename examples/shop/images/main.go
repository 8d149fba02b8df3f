// The shop: one static binary that acts by its first argument, so that the whole example is one small image.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker; `GET /api/info` shows it, so that a rollout can be watched from outside.
var version = "dev"

// roles is what the first argument may be.
var roles = map[string]func(context.Context) error{
	"web":     web,
	"api":     api,
	"worker":  worker,
	"uploads": uploads,
	"report":  report,
	"migrate": migrate,
	"wait":    waitForBackends,
}

func main() {
	if err := run(); err != nil {
		slog.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 || roles[os.Args[1]] == nil {
		return fmt.Errorf("usage: %s web|api|worker|uploads|report|migrate|wait", os.Args[0])
	}
	hostname, _ := os.Hostname()
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)).With("role", os.Args[1], "pod", hostname, "version", version))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	return roles[os.Args[1]](ctx)
}

// variable reads a required environment variable: a missing one is a fault of the deployment, said once and by name.
func variable(name string) (string, error) {
	value := os.Getenv(name)
	if value == "" {
		return "", fmt.Errorf("the variable %s is not set", name)
	}
	return value, nil
}
