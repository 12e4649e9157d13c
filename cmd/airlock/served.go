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

// looksForAtMost is how many feeds a server looks for when it begins.
const looksForAtMost = 16

// lacks reports whether the store has none of the feeds that were served. It looks for
// some alone: where it is the right store, the first is there. Where it does not answer
// soon, nothing is known.
func (k *keeper) lacks(ctx context.Context, served iter.Seq[feed.ID]) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	missing := 0
	for id := range served {
		there, err := k.server.Feeds(ctx, server.Operator, []trust.Space{id.Space})
		if err != nil || slices.Contains(there, id) {
			return false
		}
		if missing++; missing == looksForAtMost {
			break
		}
	}
	return missing > 0
}
