package home

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// aliveDoc is the value of cell alive/<lineage, hex>/<feed's own name>: the
// newest sign of life that the Space gave in the feed, and the entry up to which
// was looked. It is canonical JSON.
type aliveDoc struct {
	Entry  int64  `json:"entry"`
	Epoch  uint64 `json:"epoch"`
	Format string `json:"format"`
	Time   string `json:"time"` // RFC 3339, UTC
}

const aliveFormat = "airlock-alive 1"

func aliveKey(lineage trust.Lineage, id feed.ID) string {
	return fmt.Sprintf("alive/%s/%s", storage.Digest(lineage).Hex(), id.Name)
}

// Alive returns the time of the newest sign of life that a Space gave in a feed
// of its own, as far as it was followed here; zero where there is none. A feed is
// no younger than that, whatever its source says of others.
func (h *Home) Alive(ctx context.Context, lineage trust.Lineage, id feed.ID) (time.Time, error) {
	a, _, err := h.loadAlive(ctx, lineage, id)
	return a.when(), err
}

// AliveBy returns what Alive will say once LearnAlive has looked at a feed which f
// followed to s. It keeps nothing.
func (h *Home) AliveBy(ctx context.Context, f *feed.Follower, s *feed.State, now time.Time) (time.Time, error) {
	known, _, err := h.loadAlive(ctx, s.Lineage, s.ID)
	if err != nil {
		return time.Time{}, err
	}
	got, err := newestAlive(ctx, f, s, known, now)
	if got != nil {
		known = *got
	}
	return known.when(), err
}

func (a aliveDoc) when() time.Time {
	t, _ := signing.ParseTime(a.Time) // checked by loadAlive; none gives zero
	return t
}

func (h *Home) loadAlive(ctx context.Context, lineage trust.Lineage, id feed.ID) (aliveDoc, string, error) {
	state, err := h.State(ctx)
	if err != nil {
		return aliveDoc{}, "", err
	}
	key := aliveKey(lineage, id)
	value, tag, err := state.Cells.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return aliveDoc{Entry: -1}, "", nil
	}
	var a aliveDoc
	if err == nil {
		err = signing.UnmarshalCanonical(value, &a)
	}
	if err == nil && a.Format != aliveFormat {
		err = &storage.FormatError{Where: key, Got: a.Format, Want: aliveFormat}
	}
	if err == nil {
		_, err = signing.ParseTime(a.Time)
	}
	if err != nil {
		return aliveDoc{}, "", fmt.Errorf("%s: %w", key, err)
	}
	return a, tag, nil
}

// LearnAlive looks for signs of life that are new in a feed which f followed to
// s, and keeps the newest. The signed time of holdings is what counts. One that
// is more than a day ahead of now does not count until then, and none moves the
// time back.
func (h *Home) LearnAlive(ctx context.Context, f *feed.Follower, s *feed.State, now time.Time) error {
	for range 20 {
		known, tag, err := h.loadAlive(ctx, s.Lineage, s.ID)
		if err != nil {
			return err
		}
		got, err := newestAlive(ctx, f, s, known, now)
		if err != nil || got == nil {
			return err
		}
		value, err := signing.MarshalCanonical(got)
		if err != nil {
			return err
		}
		state, err := h.State(ctx)
		if err != nil {
			return err
		}
		_, err = state.Cells.Swap(ctx, aliveKey(s.Lineage, s.ID), tag, value)
		if !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrUnclear) {
			return err
		}
	}
	return fmt.Errorf("%s: %w", aliveKey(s.Lineage, s.ID), storage.ErrConflict)
}

// maxAhead bounds the signs of life that are read to find one which counts now.
const maxAhead = 8

// newestAlive returns what is newer than known, nil where nothing is.
func newestAlive(ctx context.Context, f *feed.Follower, s *feed.State, known aliveDoc, now time.Time) (*aliveDoc, error) {
	from := known.Entry + 1
	if s.Epoch != known.Epoch {
		from = 0
	}
	ahead := 0
	for row := range s.Index.Others(signing.Holdings, from) {
		said, err := holdingsOf(ctx, f, s, row)
		if err != nil {
			return nil, err
		}
		if said.When().After(now.Add(trust.MaxAhead)) {
			if ahead++; ahead == maxAhead {
				return nil, nil
			}
			continue
		}
		next := &aliveDoc{Entry: row.Index, Epoch: s.Epoch, Format: aliveFormat, Time: said.Time}
		if said.When().Before(known.when()) {
			next.Time = known.Time
		}
		return next, nil
	}
	return nil, nil
}

func holdingsOf(ctx context.Context, f *feed.Follower, s *feed.State, row feed.Row) (said feed.Holdings, err error) {
	err = f.Statements(ctx, s, []feed.Row{row}, func(_ feed.Row, v trust.Verified, _ signing.Attestation) error {
		said, err = feed.ParseHoldings(v.Statement())
		return err
	})
	return said, err
}
