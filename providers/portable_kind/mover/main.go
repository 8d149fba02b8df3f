// The mover: one of the two ends of a migration's data plane. It runs in a pod beside the app, with the app's volumes below /volumes.
//
// Both ends are the same program. The source reads, compares and sends; the target lists and applies. Between them is one
// mutually authenticated TLS connection, or a few, that carry streams both ways (tunnel.go), whoever dialled whom. What is to be
// done comes to a port on loopback (control.go), which is reached by the API server's port forwarding.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
)

const (
	volumes  = "/volumes"
	peerPort = 7873
)

// controlAddress is where the operator's requests arrive: only what is in the pod, and port forwarding, get there.
const controlAddress = "127.0.0.1:7874"

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	if len(os.Args) > 1 && os.Args[1] == "shell" {
		os.Exit(shell(os.Args[2:]))
	}
	run := serve
	if len(os.Args) > 1 && os.Args[1] == "routes" {
		run, os.Args = routes, os.Args[1:]
	}
	if len(os.Args) > 1 && os.Args[1] == "ask" {
		run, os.Args = askMover, os.Args[1:]
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mover:", err)
		os.Exit(1)
	}
}

func serve(arguments []string) error {
	flags := flag.NewFlagSet("mover", flag.ContinueOnError)
	role := flags.String("role", "", "source or target")
	keys := flags.String("keys", "/etc/mover/keys", "folder with ca.crt, tls.crt, tls.key")
	dial := flags.String("dial", "", "HOST:PORT of the other end; empty: the other end, or the operator, dials")
	sessions := flags.Int("sessions", 2, "connections to keep")
	accept := flags.String("forward-from", "", "target: ADDRESS to listen on for what comes out at the source's -forward-to")
	to := flags.String("forward-to", "", "source: HOST:PORT that forwarded connections lead to")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *role != "source" && *role != "target" {
		return fmt.Errorf("-role is source or target, not %q", *role)
	}
	config, err := tlsConfig(*role, *keys)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	mover := &mover{role: *role, root: volumes, forwardTo: *to, running: map[string]*run{}}
	if *role == "source" { // on the target nobody else writes
		mover.known.settled = writtenBack
	}
	mover.tunnel = newTunnel(*role, config, mover.accept)
	errs := make(chan error, 4)
	go func() { errs <- mover.tunnel.listen(ctx, fmt.Sprintf(":%d", peerPort)) }()
	if *dial != "" {
		for range *sessions {
			go mover.tunnel.keepDialled(ctx, *dial)
		}
	}
	go func() { errs <- mover.control(ctx) }()
	if *accept != "" {
		go func() { errs <- mover.forward(ctx, *accept) }()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-errs:
		return err
	}
}
