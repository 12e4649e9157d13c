package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/log"
	"airlock/storage"
	"airlock/trust"
)

// LogKey returns the operator's public log key.
func (s *Server) LogKey(context.Context) ([]byte, error) {
	if s.config.LogKey.IsZero() {
		return nil, outward(log.ErrForeignKey)
	}
	return s.config.LogKey.Public(), nil
}

// Feeds lists the feeds that the caller may read: of some Spaces, or where none is
// named of all.
func (s *Server) Feeds(ctx context.Context, c feedhttp.Caller, of []trust.Space) ([]feed.ID, error) {
	if err := s.mustBeKnown(c); err != nil {
		return nil, err
	}
	all, err := s.logs.List(ctx, of...)
	if err != nil {
		return nil, err
	}
	out := []feed.ID{}
	for _, id := range all {
		ok, err := s.reads(ctx, c, id)
		if err != nil && !errors.Is(err, feedhttp.ErrUnauthorized) {
			return nil, err
		}
		if ok {
			out = append(out, id)
		}
	}
	return out, nil
}

// Head returns the newest checkpoint. One with fewer than least entries is read
// for the call.
func (s *Server) Head(ctx context.Context, c feedhttp.Caller, id feed.ID, least int64) (feed.Checkpoint, error) {
	return s.headWithin(ctx, c, id, least, s.config.Fresh)
}

// headWithin is Head for one that may be so old.
func (s *Server) headWithin(ctx context.Context, c feedhttp.Caller, id feed.ID, least int64, old time.Duration) (feed.Checkpoint, error) {
	if err := s.mayRead(ctx, c, id); err != nil {
		return feed.Checkpoint{}, err
	}
	h, err := s.logs.Feed(id).HeadWithin(ctx, least, old)
	if err != nil {
		return feed.Checkpoint{}, outward(err)
	}
	return h.Checkpoint, nil
}

// Part returns a part of the log.
func (s *Server) Part(ctx context.Context, c feedhttp.Caller, id feed.ID, p feedhttp.Part) ([]byte, error) {
	if err := s.mayRead(ctx, c, id); err != nil {
		return nil, err
	}
	b, err := s.cached(ctx, id.Space, fmt.Sprintf("part/%s/%d/%d/%d/%d/%d", id.Name, p.Kind, p.Level, p.N, p.From, p.Width), func(ctx context.Context) ([]byte, error) {
		return s.part(ctx, id, p)
	})
	if errors.Is(err, log.ErrNotYet) {
		return nil, fmt.Errorf("feed %s: %w: %w", id, err, fs.ErrNotExist)
	}
	return b, outward(err)
}

func (s *Server) part(ctx context.Context, id feed.ID, p feedhttp.Part) ([]byte, error) {
	l := s.logs.Feed(id)
	switch p.Kind {
	case feedhttp.Segment:
		return l.Segment(ctx, p.N, p.From, p.Width)
	case feedhttp.Pack:
		return l.Pack(ctx, p.N, p.From, p.Width)
	case feedhttp.Tile:
		return l.Tile(ctx, p.Level, p.N, p.Width)
	case feedhttp.Entries:
		return l.Entries(ctx, p.N, p.Width)
	}
	return nil, fs.ErrNotExist
}

func (s *Server) cached(ctx context.Context, space trust.Space, key string, fill func(context.Context) ([]byte, error)) ([]byte, error) {
	if s.config.Cache == nil {
		return fill(ctx)
	}
	return s.config.Cache.Bytes(ctx, space.String(), key, fill)
}

// Object opens an object that the feed speaks of, or that helps to read a payload
// of it. Small ones come from memory.
func (s *Server) Object(ctx context.Context, c feedhttp.Caller, id feed.ID, d storage.Digest, of feedhttp.Of, off int64) (feedhttp.Object, error) {
	if err := s.mayHave(ctx, c, id, d, of); err != nil {
		return feedhttp.Object{}, err
	}
	if d == emptyConfig {
		return feedhttp.Object{Bytes: feed.EmptyConfig, Size: int64(len(feed.EmptyConfig))}, nil
	}
	objects := s.config.Store.Objects(id.Space.String())
	if s.config.Cache != nil {
		b, err := s.config.Cache.Object(ctx, id.Space.String(), objects, d)
		if !errors.Is(err, storage.ErrLarge) {
			return feedhttp.Object{Bytes: b, Size: int64(len(b))}, err
		}
	}
	info, err := objects.Stat(ctx, d)
	if err != nil {
		return feedhttp.Object{}, err
	}
	r, err := objects.Get(ctx, d, off)
	if err != nil {
		return feedhttp.Object{}, err
	}
	return feedhttp.Object{ReadCloser: r, Size: info.Size}, nil
}

// Chunks returns the chunk index of a payload.
func (s *Server) Chunks(ctx context.Context, c feedhttp.Caller, id feed.ID, d storage.Digest) ([]byte, error) {
	x, err := s.chunks(ctx, c, id, d)
	if err != nil {
		return nil, err
	}
	return x.Format()
}

func (s *Server) chunks(ctx context.Context, c feedhttp.Caller, id feed.ID, d storage.Digest) (*storage.ChunkIndex, error) {
	if err := s.mayHave(ctx, c, id, d, feedhttp.Of{}); err != nil {
		return nil, err
	}
	chunker, ok := s.config.Store.Objects(id.Space.String()).(storage.Chunker)
	if !ok {
		return nil, fmt.Errorf("object %s of %s: %w", d, id.Space, fs.ErrNotExist)
	}
	return chunker.Chunks(ctx, d)
}

// Delta returns the pointer to the delta between two payloads.
func (s *Server) Delta(ctx context.Context, c feedhttp.Caller, id feed.ID, base, target storage.Digest) ([]byte, error) {
	p, err := s.delta(ctx, c, id, base, target)
	if err != nil {
		return nil, err
	}
	return p.Format(), nil
}

func (s *Server) delta(ctx context.Context, c feedhttp.Caller, id feed.ID, base, target storage.Digest) (storage.Pointer, error) {
	if err := errors.Join(s.mayHave(ctx, c, id, base, feedhttp.Of{}), s.mayHave(ctx, c, id, target, feedhttp.Of{})); err != nil {
		return storage.Pointer{}, err
	}
	differ, ok := s.config.Store.Objects(id.Space.String()).(storage.Differ)
	if !ok {
		return storage.Pointer{}, fmt.Errorf("object %s of %s: %w", target, id.Space, fs.ErrNotExist)
	}
	return differ.Delta(ctx, base, target)
}
