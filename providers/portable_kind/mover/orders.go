package main

import (
	"context"
	"encoding/gob"
	"time"

	"github.com/hashicorp/yamux"
)

// orders are operations that must be done before anything goes on: one at a time, each answered.
type orders struct {
	mover  *mover
	claim  string
	stream *yamux.Stream
	out    *sender
	in     *gob.Decoder
}

func (o *orders) do(ctx context.Context, next operation) error {
	if o.stream == nil {
		stream, err := o.mover.tunnel.open(ctx)
		if err != nil {
			return err
		}
		out, err := newSender(stream, hello{Kind: "apply", Claim: o.claim})
		if err != nil {
			return lost(err)
		}
		o.stream, o.out, o.in = stream, out, gob.NewDecoder(stream)
	}
	stopped := context.AfterFunc(ctx, func() { o.stream.SetDeadline(time.Now()) })
	defer stopped()
	next.Ack = true
	if err := o.out.gob.Encode(next); err != nil {
		return lost(err)
	}
	if err := o.out.Flush(); err != nil {
		return lost(err)
	}
	var answer reply
	if err := o.in.Decode(&answer); err != nil {
		return lost(err)
	}
	if answer.Failure != nil {
		return answer.Failure
	}
	return nil
}

func (o *orders) close() {
	if o.stream != nil {
		o.stream.Close()
	}
}
