package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"airlock/feed"
	"airlock/internal/bench/peers"
	"airlock/internal/home"
	"airlock/internal/tsa"
	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// receiver is the Space behind the gap, with the key and the clock that its
// receipts are made by.
type receiver struct {
	own    *trust.History
	signer *signing.Signer
	clock  *tsa.Authority // nil for receipts without a time stamp
	feed   feed.ID

	instance string
	last     *signing.ID
	number   int64
}

// buildReceipts fills the store of a new site with packages, and with so many
// receipts for them.
func buildReceipts(ctx context.Context, s *site, n int64, progress io.Writer) error {
	if err := s.behindAGap(ctx); err != nil {
		return err
	}
	if _, _, err := peers.Run(ctx, s.airlock, "--home", s.path("op"), "server", "admit", s.path("inner.id")); err != nil {
		return err
	}
	r, err := s.openReceiver()
	if err != nil {
		return err
	}
	h, err := s.serverHere(ctx)
	if err != nil {
		return err
	}
	err = fill(ctx, h.Local(), newAuthor(s, h.logKey), answeredPackages, progress)
	if err == nil {
		err = r.answer(ctx, s, h, n)
	}
	return errors.Join(err, h.Close())
}

// openReceiver also writes the certificate of the receiver's clock, as tsa.pem.
func (s *site) openReceiver() (*receiver, error) {
	h, err := home.Open(s.path("inner"))
	if err != nil {
		return nil, err
	}
	r := &receiver{instance: "00112233445566778899aabbccddeeff"}
	if r.own, r.signer, err = plainKeys(h); err != nil {
		return nil, err
	}
	r.feed = feed.ID{Space: r.own.Space(), Name: receipts.Feed}
	authority, err := h.EnsureTimeAuthority(receiverName, time.Now())
	if err != nil {
		return nil, err
	}
	r.clock = tsa.New(authority, time.Now)
	return r, os.WriteFile(s.path("tsa.pem"), authority.RootPEM(), 0o600)
}

// answer publishes n receipts for the packages of the site's feed in turn.
func (r *receiver) answer(ctx context.Context, s *site, h *here, n int64) error {
	f, err := newFollower(s.own, h.Local(), storage.NewMem(), nil)
	if err != nil {
		return err
	}
	seen, _, err := f.Sync(ctx, s.id)
	if err != nil {
		return err
	}
	packages := published(seen)
	opening, err := openingOf(ctx, r.feed, r.own, r.signer, h.logKey)
	if err != nil {
		return err
	}
	if _, err := h.Local().Publish(ctx, opening); err != nil {
		return err
	}
	for r.number < n {
		b, err := r.batch(ctx, seen, packages, min(n-r.number, buildBatch))
		if err != nil {
			return err
		}
		if _, err := h.Local().Publish(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// published returns the packages of a feed.
func published(in *feed.State) (packages []feed.Row) {
	for row := range in.Index.Rows(0) {
		if row.What == feed.IsPublication {
			packages = append(packages, row)
		}
	}
	return packages
}

// batch signs and stamps the next receipts.
func (r *receiver) batch(ctx context.Context, seen *feed.State, packages []feed.Row, n int64) (feed.Batch, error) {
	unsigned := make([]signing.Statement, n)
	for i := range unsigned {
		st, err := r.receipt(seen, packages[r.number%int64(len(packages))])
		if err != nil {
			return feed.Batch{}, err
		}
		unsigned[i] = st
	}
	b := feed.Batch{Feed: r.feed, Epoch: 1, Statements: make([]signing.Attestation, n)}
	errs := make([]error, n)
	feed.Parallel(int(n), func(i int) { b.Statements[i], errs[i] = r.sign(ctx, unsigned[i]) })
	return b, errors.Join(errs...)
}

func (r *receiver) sign(ctx context.Context, st signing.Statement) (signing.Attestation, error) {
	signed, err := r.signer.Sign(ctx, st)
	if err != nil || r.clock == nil {
		return signed, err
	}
	token, err := r.clock.Stamp(ctx, signed.Signature())
	if err != nil {
		return signed, err
	}
	return signed.WithTimestamp(token)
}

// receipt is the next one, unsigned.
func (r *receiver) receipt(seen *feed.State, row feed.Row) (signing.Statement, error) {
	r.number++
	st, err := receipts.Receipt{By: "receiver", Checkpoint: string(seen.Note), Environment: "production", Epoch: 1, Feed: r.feed,
		Instance: r.instance, Lineage: r.own.Lineage(), Number: r.number, Operation: "add", Outcome: receipts.Applied,
		Previous: r.last, Targets: []string{"/srv/airlock"}, Time: signing.FormatTime(time.Now()), Manifest: row.Manifest,
		Publication: receipts.Publication{Epoch: seen.Epoch, Feed: seen.ID, Kind: row.Ref.Kind, Lineage: seen.Lineage, Name: row.Ref.Name, Statement: row.ID, Version: row.Ref.Version}}.Statement()
	if err != nil {
		return st, err
	}
	id, err := st.ID()
	r.last = &id
	return st, err
}
