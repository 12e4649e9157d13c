package outbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/internal/tsa"
	"airlock/receipts"
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

// Log is the receipts feed of the home's own Space.
type Log interface {
	// Sync follows the feed; fs.ErrNotExist where there is none yet.
	Sync(ctx context.Context) (*feed.State, error)
	// Attestations reads accepted entries again, as feed.Follower does.
	Attestations(ctx context.Context, s *feed.State, rows []feed.Row, each func(feed.Row, signing.Attestation) error) error
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

// ErrRenewed reports a home that was put back from a backup: its feed holds
// receipts that it does not remember. What waits has new numbers, of a new
// instance, and is to be signed anew.
var ErrRenewed = errors.New("the receipts feed holds receipts that this home does not remember, so it goes on under a new instance")

// checkInstance looks for receipts of this instance that the book does not know:
// they were made by what this home was before it was put back. Where another
// process numbers or sends receipts meanwhile, it looks again.
func (o *Outbox) checkInstance(ctx context.Context, to Log) error {
	return race(func() error {
		b, err := o.load(ctx)
		if err != nil {
			return err
		}
		state, err := to.Sync(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		forgotten, err := o.forgotten(ctx, b, state, to)
		if err != nil {
			return err
		}
		if !forgotten {
			b.Known = state.Index.Size()
			return o.save(ctx, b)
		}
		fresh, err := newBook()
		if err != nil {
			return err
		}
		fresh.tag, fresh.Known = b.tag, state.Index.Size()
		if err := o.save(ctx, fresh); err != nil {
			return err
		}
		if _, err := o.load(ctx); err != nil { // numbers what waits anew
			return err
		}
		return ErrRenewed
	})
}

// forgotten reads what is new in the feed: a receipt of this instance that the
// book never numbered, or whose number a waiting statement has, too. A lower
// number that waits no more was sent, perhaps by another process a moment ago.
func (o *Outbox) forgotten(ctx context.Context, b *book, state *feed.State, to Log) (bool, error) {
	rows := receipts.Rows(state.Index, b.Known)
	if len(rows) == 0 {
		return false, nil
	}
	ours, err := o.waitingIDs(ctx)
	if err != nil {
		return false, err
	}
	found := false
	err = to.Attestations(ctx, state, rows, func(_ feed.Row, a signing.Attestation) error {
		st, err := signing.ParseStatement(a.Payload())
		if err != nil {
			return err
		}
		r, err := receipts.Parse(st)
		if err == nil && r.Instance == b.Instance {
			id, waits := ours[r.Number]
			found = found || r.Number > b.Number || waits && id != a.ID()
		}
		return nil // what is no receipt is the ledger's to show
	})
	return found, err
}

// waitingIDs returns the statements that wait, by number.
func (o *Outbox) waitingIDs(ctx context.Context) (map[int64]signing.ID, error) {
	waiting, err := o.Waiting(ctx)
	out := make(map[int64]signing.ID, len(waiting))
	for _, w := range waiting {
		out[w.Number] = w.ID
	}
	if err != nil {
		return nil, fmt.Errorf("waiting receipts: %w", err)
	}
	return out, nil
}
