// Command tlogread reads a feed's log as a stranger does: with torchwood's
// client for C2SP tile logs (c2sp.org/tlog-tiles) and nothing of Airlock.
//
//	tlogread -url URL -vkey VKEY [-origin ORIGIN] [-since CHECKPOINT] [-proofs 64] [-timeout 10m]
//
// It verifies the checkpoint's signature and origin, every entry up to the
// checkpoint's size, inclusion proofs of entries spread over the log, and,
// where an older checkpoint is given, that the log only grew. It prints the
// counts and exits 0, or says what is wrong and exits 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// requestLimit bounds one request, and an answer that is endless.
const (
	requestLimit = 20 * time.Second
	maxAnswer    = 64 << 20 // 256 entries of 65,535 bytes are 16 MiB
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "tlogread: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("tlogread", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o options
	flags.StringVar(&o.url, "url", "", "`URL` below which checkpoint and tile/ lie")
	flags.StringVar(&o.vkey, "vkey", "", "the log's verifier key, `NAME+HASH+KEY` (c2sp.org/signed-note)")
	flags.StringVar(&o.origin, "origin", "", "the origin wanted; without it, the key's name")
	since := flags.String("since", "", "`FILE` with an older checkpoint of this log")
	flags.Int64Var(&o.proofs, "proofs", 64, "how many entries to prove one by one")
	limit := flags.Duration("timeout", 10*time.Minute, "give up after this time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.url == "" || o.vkey == "" || flags.NArg() > 0 {
		return errors.New("want -url and -vkey, and no further argument")
	}
	if *since != "" {
		var err error
		if o.since, err = os.ReadFile(*since); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	o.client = &http.Client{Timeout: requestLimit, Transport: bounded{http.DefaultTransport}}

	r, err := read(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "origin    %s\nsize      %d\nroot      %s\nentries   %d verified, %d bytes\nproofs    %d inclusion proofs verified\n",
		r.origin, r.size, r.root, r.entries, r.bytes, r.proofs)
	if o.since != nil {
		fmt.Fprintf(stdout, "growth    consistent with the checkpoint of size %d\n", r.since)
	}
	return nil
}

// bounded cuts every answer off after maxAnswer bytes.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}
