package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/storage"
)

// Bounds of the versions that wait for their deltas, of one Space and of all. What
// comes while as many wait has none, and is pulled by its frames.
const (
	maxSpaceDeltas = 256
	maxDeltas      = 1024
)

// deltaJob is a version whose large files are to be reached by deltas.
type deltaJob struct {
	id    feed.ID
	entry feed.Entry
}

// deltas makes, one after the other in turns over Spaces and behind the answers, the
// deltas from one version of a package to the next.
type deltas struct {
	server *Server
	turns  *feedhttp.Queue
	ctx    context.Context
	stop   context.CancelFunc

	mu     sync.Mutex // nothing begins once closed
	closed bool
	wg     sync.WaitGroup
}

func (s *Server) startDeltas() *deltas {
	ctx, stop := context.WithCancel(context.Background())
	return &deltas{server: s, turns: feedhttp.NewQueue("deltas to make", 1, maxSpaceDeltas, maxDeltas), ctx: ctx, stop: stop}
}

func (d *deltas) close() {
	d.stop()
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.wg.Wait()
}

// add takes in what was published. It does not wait.
func (d *deltas) add(id feed.ID, in *incoming) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, sub := range in.submissions {
		if in.large[sub.Entry.Manifest] && sub.Entry.Previous != nil && !d.closed {
			d.wg.Go(func() { d.work(deltaJob{id, sub.Entry}) })
		}
	}
}

// work makes the deltas to a version when it is its turn.
func (d *deltas) work(j deltaJob) {
	leave, err := d.turns.Enter(d.ctx, j.id.Space, 1)
	if err != nil {
		d.server.config.Logger.Debug("delta not made", "feed", j.id.String(), "package", j.entry.Ref.String(), "error", err)
		return
	}
	defer leave()
	if err := d.make(d.ctx, j); err != nil && d.ctx.Err() == nil {
		d.server.config.Logger.Warn("delta not made", "feed", j.id.String(), "package", j.entry.Ref.String(), "error", err)
	}
}

// make makes the deltas to the large files of a version from those of the
// version that it follows.
func (d *deltas) make(ctx context.Context, j deltaJob) error {
	objects := d.server.config.Store.Objects(j.id.Space.String())
	differ, ok := objects.(storage.Differ)
	before, found := d.server.logs.Feed(j.id).Entry(*j.entry.Previous)
	if !ok || !found || before.What != feed.IsPublication {
		return nil
	}
	layers, err := manifestLayers(ctx, objects, j.entry.Manifest)
	if err != nil {
		return err
	}
	old, err := manifestLayers(ctx, objects, before.Manifest)
	if err != nil {
		return err
	}
	for _, l := range layers {
		base := feed.BaseFor(l.Path, old, func(l *feed.Layer) (string, storage.Ref) { return l.Path, l.Ref })
		if base == nil || base.Digest == l.Digest {
			continue
		}
		p, err := differ.KeepDelta(ctx, base.Digest, l.Digest)
		if errors.Is(err, storage.ErrNoGain) || errors.Is(err, fs.ErrNotExist) {
			continue // small, kept in a way that allows none, or purged
		}
		if err != nil {
			return fmt.Errorf("%s: %w", l.Path, err)
		}
		d.server.config.Logger.Info("delta made", "feed", j.id.String(), "package", j.entry.Ref.String(), "path", l.Path, "bytes", p.To.Size, "of", l.Size)
	}
	return nil
}

func manifestLayers(ctx context.Context, o storage.Objects, d storage.Digest) ([]feed.Layer, error) {
	raw, err := feed.ReadWhole(ctx, o.Get, d, feed.MaxManifest)
	if err != nil {
		return nil, err
	}
	m, err := feed.ParseManifest(raw)
	return m.Layers, err
}
