package home

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// Taken is what of a bundle was taken in here: the feeds, and when. It is the
// value of cell taken/<bundle, hex>, canonical JSON.
type Taken struct {
	Feeds  []TakenFeed `json:"feeds"`
	Format string      `json:"format"`
}

// TakenFeed is a feed of a bundle that was taken in.
type TakenFeed struct {
	Feed feed.ID `json:"feed"`
	Time string  `json:"time"` // RFC 3339, UTC, the first time
}

const takenFormat = "airlock-taken 1"

func takenKey(bundle storage.Digest) string { return "taken/" + bundle.Hex() }

// Of returns when a feed was taken in from the bundle; ok is false where it was
// not.
func (t Taken) Of(id feed.ID) (when string, ok bool) {
	i := slices.IndexFunc(t.Feeds, func(f TakenFeed) bool { return f.Feed == id })
	if i < 0 {
		return "", false
	}
	return t.Feeds[i].Time, true
}

// Taken returns what of a bundle was taken in, by the SHA-256 of its document.
func (h *Home) Taken(ctx context.Context, bundle storage.Digest) (Taken, error) {
	t, _, err := h.loadTaken(ctx, bundle)
	return t, err
}

func (h *Home) loadTaken(ctx context.Context, bundle storage.Digest) (Taken, string, error) {
	t := Taken{Format: takenFormat}
	state, err := h.State(ctx)
	if err != nil {
		return t, "", err
	}
	value, tag, err := state.Cells.Load(ctx, takenKey(bundle))
	if errors.Is(err, fs.ErrNotExist) {
		return t, "", nil
	}
	if err == nil {
		err = signing.UnmarshalCanonical(value, &t)
	}
	if err == nil && t.Format != takenFormat {
		err = &storage.FormatError{Where: takenKey(bundle), Got: t.Format, Want: takenFormat}
	}
	if err != nil {
		return t, "", fmt.Errorf("%s: %w", takenKey(bundle), err)
	}
	return t, tag, nil
}

// NoteTaken records that feeds of a bundle were taken in.
func (h *Home) NoteTaken(ctx context.Context, bundle storage.Digest, feeds []feed.ID, now time.Time) error {
	for range 20 {
		t, tag, err := h.loadTaken(ctx, bundle)
		if err != nil {
			return err
		}
		known := len(t.Feeds)
		for _, id := range feeds {
			if _, ok := t.Of(id); !ok {
				t.Feeds = append(t.Feeds, TakenFeed{id, signing.FormatTime(now)})
			}
		}
		if len(t.Feeds) == known {
			return nil
		}
		value, err := signing.MarshalCanonical(t)
		if err != nil {
			return err
		}
		state, err := h.State(ctx)
		if err != nil {
			return err
		}
		_, err = state.Cells.Swap(ctx, takenKey(bundle), tag, value)
		if !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrUnclear) {
			return err
		}
	}
	return fmt.Errorf("%s: %w", takenKey(bundle), storage.ErrConflict)
}
