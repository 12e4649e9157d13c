package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"

	"airlock/feed"
	"airlock/internal/server"
	"airlock/storage"
)

// behind is what goes on from what a store mirrors already: a medium, or what was
// pushed.
type behind struct {
	place
	store *server.Local
	tree  entryTree
}

func (m *mirrorStore) behind(news place) *behind {
	return &behind{place: news, store: m.server.Local()}
}

// Segments yields what the store has, and then what is new.
func (b *behind) Segments(ctx context.Context, id feed.ID, from, to int64) iter.Seq2[feed.Segment, error] {
	return func(yield func(feed.Segment, error) bool) {
		have, err := b.have(ctx, id)
		if err != nil {
			yield(feed.Segment{}, err)
			return
		}
		if from < have {
			for s, err := range b.store.Segments(ctx, id, from, min(to, have)) {
				if !yield(s, err) || err != nil {
					return
				}
			}
		}
		if to > have {
			b.place.Segments(ctx, id, max(from, have), to)(yield)
		}
	}
}

// have returns how many entries the store has of the epoch that the news are of.
func (b *behind) have(ctx context.Context, id feed.ID) (int64, error) {
	newest, err := b.Checkpoint(ctx, id)
	if err != nil {
		return 0, err
	}
	c, err := b.store.Checkpoint(ctx, id)
	if errors.Is(err, fs.ErrNotExist) || err == nil && c.Origin != newest.Origin {
		return 0, nil
	}
	return c.Size, err
}

// Object returns what the news have, or else the store.
func (b *behind) Object(ctx context.Context, id feed.ID, d storage.Digest, off int64) (io.ReadCloser, error) {
	r, err := b.place.Object(ctx, id, d, off)
	if errors.Is(err, fs.ErrNotExist) {
		return b.store.Object(ctx, id, d, off)
	}
	return r, err
}

// Tile computes a hash tile from the entries of both.
func (b *behind) Tile(ctx context.Context, id feed.ID, level int, n int64, width int) ([]byte, error) {
	return b.tree.tile(ctx, b, id, level, n, width)
}
