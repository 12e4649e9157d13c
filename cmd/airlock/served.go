package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"airlock/feed"
	"airlock/internal/server"
	"airlock/trust"
)

// A home remembers the feeds whose logs it signed. A store that has none of them is
// another one, or was emptied: a bucket of another name, a disk that is not mounted.
// Where it has some, the log itself refuses each of the others.

const otherStoreHint = "is it the right folder or bucket, and is its disk mounted?"

// served returns the feeds that this home has served.
func (a *app) served() iter.Seq[feed.ID] {
	h, err := a.home()
	if err != nil {
		return func(func(feed.ID) bool) {}
	}
	return h.Served()
}

// otherStore says that a store has none of the feeds that this home has served.
func otherStore(name string, served []feed.ID) string {
	if len(served) == 1 {
		return fmt.Sprintf("%s does not have the feed that this home has served, %s", name, served[0])
	}
	return fmt.Sprintf("%s has none of the %d feeds that this home has served", name, len(served))
}

// noneOf reports whether something was served, and nothing of it is there.
func noneOf(served, there []feed.ID) bool {
	known := map[feed.ID]bool{}
	for _, id := range served {
		known[id] = true
	}
	return len(served) > 0 && !slices.ContainsFunc(there, func(id feed.ID) bool { return known[id] })
}

// lost returns the feeds that this home has served, where the store has none of them;
// nothing where it has one, or does not answer soon. It reads all that was served, and
// all that is there, only where the first is missing: at the start of the right server
// it is there.
func (k *keeper) lost(ctx context.Context, served iter.Seq[feed.ID]) []feed.ID {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	next, stop := iter.Pull(served)
	defer stop()
	first, ok := next()
	if !ok {
		return nil
	}
	there, err := k.server.Feeds(ctx, server.Operator, []trust.Space{first.Space})
	if err != nil || slices.Contains(there, first) {
		return nil
	}
	all := slices.Collect(served)
	if there, err = k.server.Feeds(ctx, server.Operator, nil); err != nil || !noneOf(all, there) {
		return nil
	}
	return all
}
