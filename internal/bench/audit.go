package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"airlock/feed"
	"airlock/internal/bench/peers"
	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// answeredPackages is the number of publications that receipts speak of.
const answeredPackages = 1000

// measureAudit has an auditor check many receipts, against verifying as many
// signatures alone.
func measureAudit(ctx context.Context, b *bench) []row {
	rows := []row{{name: "audit", title: fmt.Sprintf("Audit %d receipts", b.receipts)}}
	rows[0].err = b.measureReceipts(ctx, &rows[0])
	return rows
}

func (b *bench) measureReceipts(ctx context.Context, r *row) error {
	dir := b.receiptsFolder()
	if _, err := os.Stat(dir); err != nil {
		if err := b.grow(ctx, "receipts", dir, b.receipts); err != nil {
			return err
		}
	}
	s, err := openSite(b.airlock, dir)
	if err != nil {
		return fmt.Errorf("%w (made by another version? remove %s)", err, dir)
	}
	one, two := side{name: "a P-256 signature for each, 2 threads"}, side{name: "two for each: its own and its stamp's"}
	audit := side{name: "airlock audit --from DIR"}
	for i := range b.rounds {
		b.say("audit: round %d", i+1)
		for _, bare := range []struct {
			*side
			signatures int64
		}{{&one, b.receipts}, {&two, 2 * b.receipts}} {
			if err := arithmetic(ctx, 0, 1, bare.signatures, bare.side); err != nil {
				return err
			}
		}
		if err := b.clock(ctx, &audit, func() (peers.Cost, error) { return b.auditOnce(ctx, s) }); err != nil {
			return err
		}
	}
	r.lines = []line{
		{what: "wall time", unit: "s", peer: &one, ours: audit, target: atMost(2)},
		{what: "the same, beside all signatures that there are", unit: "s", peer: &two, ours: audit},
		{what: "peak memory of airlock", unit: "MiB", ours: side{name: audit.name, values: audit.peak}, target: below(500)},
	}
	r.note("Every receipt carries two P-256 signatures, of who made it and of the time authority, and both are verified: twice the peer's work is what the arithmetic alone takes. The clock is that of the whole command, which writes its report as CSV and found nothing wrong. %d publications are answered for.", answeredPackages)
	return nil
}

func (b *bench) receiptsFolder() string {
	return filepath.Join(b.cache, fmt.Sprintf("receipts-%d-%d", formatVersion, b.receipts))
}

// auditOnce audits by identities and certificates alone, with a new home.
func (b *bench) auditOnce(ctx context.Context, s *site) (peers.Cost, error) {
	dir, err := b.folder()
	if err != nil {
		return peers.Cost{}, err
	}
	report := filepath.Join(dir, "report.csv")
	cost, _, err := peers.Run(ctx, "sh", "-c", `report=$1; shift; exec "$@" >"$report"`, "sh", report,
		b.airlock, "--home", filepath.Join(dir, "home"), "audit", receiverName, "--from", s.path("op", "store"),
		"--identity", s.path("dev.id"), "--identity", s.path("inner.id"), "--tsa-certs", s.path("tsa.pem"), "-f", "csv")
	if err != nil {
		return cost, err
	}
	lines, err := countLines(report)
	if err == nil && lines != b.receipts+1 {
		err = fmt.Errorf("the report has %d lines, want a head and %d receipts", lines, b.receipts)
	}
	return cost, err
}

func countLines(path string) (n int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for r := bufio.NewReader(f); ; n++ {
		if _, err := r.ReadSlice('\n'); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}

// profileAudit does what an audit of the operator's folder does.
func profileAudit(ctx context.Context, b *bench, _ string) error {
	s, err := openSite(b.airlock, b.receiptsFolder())
	if err != nil {
		return fmt.Errorf("the receipts are audited first: %w", err)
	}
	r, err := s.openReceiver()
	if err != nil {
		return err
	}
	certificates, err := os.ReadFile(s.path("tsa.pem"))
	if err != nil {
		return err
	}
	authorities, err := signing.ParseAuthorities(certificates)
	if err != nil {
		return err
	}
	h, err := s.serverHere(ctx)
	if err != nil {
		return err
	}
	defer h.Close()
	audit := receipts.NewAudit(receipts.AuditOptions{Authorities: authorities, Now: time.Now()})
	err = h.follow(ctx, r.feed, r.own, func(f *feed.Follower, s *feed.State, void map[int64]error) error {
		return audit.Receipts(ctx, f, s, void)
	})
	if err == nil {
		err = h.follow(ctx, s.id, s.own, func(f *feed.Follower, s *feed.State, _ map[int64]error) error { return audit.Feed(ctx, f, s) })
	}
	if err != nil {
		return err
	}
	return audit.Report().CSV(io.Discard)
}

// follow reads a feed and hands it on.
func (h *here) follow(ctx context.Context, id feed.ID, whose *trust.History, to func(*feed.Follower, *feed.State, map[int64]error) error) error {
	f, err := newFollower(whose, h.Local(), storage.NewMem(), nil)
	if err != nil {
		return err
	}
	s, report, err := f.Sync(ctx, id)
	if err != nil {
		return err
	}
	return to(f, s, report.Void)
}
