package outbox

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/internal/tsa"
	"airlock/signing"
)

// signWorkers is how many receipts are signed and stamped at once: an authority
// elsewhere answers one after the other no faster.
const signWorkers = 8

// Sign signs what is not signed yet, each with a time stamp, and keeps it. It
// returns how many were signed.
func (o *Outbox) Sign(ctx context.Context, by *signing.Signer, clock tsa.Stamper) (int, error) {
	n := 0
	err := o.each(ctx, func(b *book, first int64, lines []line) error {
		todo := 0
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(signWorkers)
		for i := range lines {
			if lines[i].signed != nil {
				continue
			}
			todo++
			g.Go(func() (err error) {
				lines[i].signed, err = sign(ctx, by, clock, lines[i].statement)
				return err
			})
		}
		if err := g.Wait(); err != nil || todo == 0 {
			return err
		}
		content, err := formatFile(lines)
		if err != nil {
			return err
		}
		n += todo
		return o.home.ReplaceReceipts(b.Instance, first, content)
	})
	return n, err
}

// sign signs a statement and stamps the signature.
func sign(ctx context.Context, by *signing.Signer, clock tsa.Stamper, st signing.Statement) (*signing.Attestation, error) {
	a, err := by.Sign(ctx, st)
	if err != nil {
		return nil, err
	}
	token, err := clock.Stamp(ctx, a.Signature())
	if err != nil {
		return nil, err
	}
	a, err = a.WithTimestamp(token)
	return &a, err
}

// Reader reads what was followed of the receipts feed of the home's own Space.
type Reader interface {
	// Attestations reads accepted entries again, as feed.Follower does.
	Attestations(ctx context.Context, s *feed.State, rows []feed.Row, each func(feed.Row, signing.Attestation) error) error
}

// Log is the receipts feed of the home's own Space.
type Log interface {
	// Sync follows the feed; fs.ErrNotExist where there is none yet.
	Sync(ctx context.Context) (*feed.State, error)
	Reader
	// Append adds statements; those that are in already change nothing.
	Append(ctx context.Context, signed []signing.Attestation) error
}

// Send appends what is signed to the feed and returns how many receipts that
// were. What is not signed stops it: receipts arrive in their order.
func (o *Outbox) Send(ctx context.Context, to Log) (int, error) {
	empty, err := o.Empty()
	if err != nil || empty {
		return 0, err
	}
	if err := o.checkInstance(ctx, to); err != nil {
		return 0, err
	}
	sent := 0
	err = o.each(ctx, func(b *book, first int64, lines []line) error {
		signed := make([]signing.Attestation, 0, len(lines))
		for _, l := range lines {
			if l.signed == nil {
				return ErrUnsigned
			}
			signed = append(signed, *l.signed)
		}
		if err := to.Append(ctx, signed); err != nil {
			return err
		}
		sent += len(lines)
		return o.home.RemoveReceipts(b.Instance, first)
	})
	return sent, err
}

// Arrived lets go of what the feed holds by now, whoever brought it there; holds
// reports it of a statement, by a state of the feed that was followed.
func (o *Outbox) Arrived(ctx context.Context, holds func(signing.ID) bool) error {
	return o.each(ctx, func(b *book, first int64, lines []line) error {
		if slices.ContainsFunc(lines, func(l line) bool { return !holds(l.id) }) {
			return nil
		}
		return o.home.RemoveReceipts(b.Instance, first)
	})
}

// ErrUnsigned reports receipts that wait for a signature.
var ErrUnsigned = errors.New("receipts wait for their signature")
