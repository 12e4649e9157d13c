package outbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"airlock/feed"
	"airlock/receipts"
	"airlock/signing"
)

// ErrRenewed reports a home that was put back from a backup: its feed holds
// receipts that it does not remember. What waits has new numbers, of a new
// instance, and is to be signed anew.
var ErrRenewed = errors.New("the receipts feed holds receipts that this home does not remember, so it goes on under a new instance")

// checkInstance compares the book with the feed, before anything is sent.
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
		return o.compare(ctx, b, state, to)
	})
}

// Known returns with how many entries of the feed the book was compared.
func (o *Outbox) Known(ctx context.Context) (int64, error) {
	b, err := o.load(ctx)
	if err != nil {
		return 0, err
	}
	return b.Known, nil
}

// Recall compares the book with the feed as it was followed, whoever brought it here.
// ErrRenewed where numbers were given out that the book does not know.
func (o *Outbox) Recall(ctx context.Context, state *feed.State, from Reader) error {
	return race(func() error {
		b, err := o.load(ctx)
		if err != nil || b.Known >= state.Index.Size() {
			return err
		}
		return o.compare(ctx, b, state, from)
	})
}

// compare looks for receipts of this instance that the book does not know: they were
// made by what this home was before it was put back. storage.ErrConflict where another
// process numbers or sends receipts meanwhile.
func (o *Outbox) compare(ctx context.Context, b *book, state *feed.State, from Reader) error {
	forgotten, err := o.forgotten(ctx, b, state, from)
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
}

// forgotten reads what is new in the feed: a receipt of this instance that the
// book never numbered, or whose number a waiting statement has, too. A lower
// number that waits no more was sent, perhaps by another process a moment ago.
func (o *Outbox) forgotten(ctx context.Context, b *book, state *feed.State, from Reader) (bool, error) {
	rows := receipts.Rows(state.Index, b.Known)
	if len(rows) == 0 {
		return false, nil
	}
	ours, err := o.waitingIDs(ctx)
	if err != nil {
		return false, err
	}
	found := false
	err = from.Attestations(ctx, state, rows, func(_ feed.Row, a signing.Attestation) error {
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
