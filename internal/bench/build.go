package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/storage"
)

// buildBatch is the number of statements of one commit.
const buildBatch = 1000

// build fills the store of a new site with a feed of that many entries, all
// signed for real and committed by the server's own code.
func build(ctx context.Context, s *site, entries int64, progress io.Writer) (err error) {
	op, err := home.Open(s.path("op"))
	if err != nil {
		return err
	}
	key, _, err := op.EnsureLogKey()
	if err != nil {
		return err
	}
	store, err := storage.OpenDir(ctx, s.path("op", "store"))
	if err != nil {
		return err
	}
	floor, err := op.NewFloor(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return errors.Join(err, store.Close())
	}
	srv := server.New(server.Config{Store: store, LogKey: key, Floor: floor, Cache: storage.NewCache(64 << 20), Now: time.Now,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	defer func() {
		err = errors.Join(err, srv.Close())
		floor.Close()
		err = errors.Join(err, store.Close())
	}()
	return fill(ctx, srv.Local(), newAuthor(s, key.Public()), entries, progress)
}

// fill publishes until the feed has that many entries. The next batch is
// signed while one is committed.
func fill(ctx context.Context, to feed.Publisher, a *author, entries int64, progress io.Writer) error {
	opening, err := a.opening(ctx)
	if err != nil {
		return err
	}
	accepted, err := to.Publish(ctx, opening)
	if err != nil {
		return err
	}
	size, begin := accepted.Checkpoint.Size, time.Now()
	for first := size; size < entries; {
		var packages []pkg
		for i := range min(entries-size, buildBatch) {
			packages = append(packages, names(size-first+i))
		}
		b, err := a.batch(ctx, packages)
		if err != nil {
			return err
		}
		if accepted, err = to.Publish(ctx, b); err != nil {
			return err
		}
		if size = accepted.Checkpoint.Size; size%50_000 < buildBatch {
			fmt.Fprintf(progress, "  %d entries after %.0f s\n", size, time.Since(begin).Seconds())
		}
	}
	return nil
}
