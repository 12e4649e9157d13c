package server

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"airlock/feed"
	"airlock/feed/log"
)

// pushRelist is how often feeds are listed. Servers that run tell at once of those that
// they begin; this finds what was begun without a server, or by one that died before it
// told.
const pushRelist = time.Minute

// pushFeeds are the feeds of the store that pushes may mean. No feed goes from a store,
// so what was found stays found, until no push is of it.
type pushFeeds struct {
	logs *log.Logs

	mu      sync.Mutex             // guards what follows
	found   map[string]*foundFeeds // by what their names begin with
	waiting map[*feedWait]struct{}
}

// foundFeeds are those whose names begin alike.
type foundFeeds struct {
	listing sync.Mutex // guards listed, and is held while they are listed
	listed  time.Time

	// Guarded by that of pushFeeds. What is in all stays as it is.
	all []feed.ID
	has map[feed.ID]bool
}

// feedWait is somebody who waits for a new feed that patterns select.
type feedWait struct {
	patterns []feed.Pattern
	came     func()
}

func newPushFeeds(logs *log.Logs) *pushFeeds {
	return &pushFeeds{logs: logs, found: map[string]*foundFeeds{}, waiting: map[*feedWait]struct{}{}}
}

// of returns the feeds that patterns select, and when to ask again whoever tells of
// new ones.
func (f *pushFeeds) of(ctx context.Context, patterns []feed.Pattern) (out map[feed.ID]bool, due time.Time, err error) {
	out, due = map[feed.ID]bool{}, time.Now().Add(pushRelist)
	for _, p := range patterns {
		all, listed, err := f.under(ctx, p.Prefix())
		if err != nil {
			return nil, due, err
		}
		if next := listed.Add(pushRelist); next.Before(due) {
			due = next
		}
		for _, id := range all {
			if p.Match(id) {
				out[id] = true
			}
		}
	}
	return out, due, nil
}

// under returns the feeds whose names begin so, and when they were listed.
func (f *pushFeeds) under(ctx context.Context, prefix string) ([]feed.ID, time.Time, error) {
	f.mu.Lock()
	at := f.found[prefix]
	if at == nil {
		at = &foundFeeds{has: map[feed.ID]bool{}}
		f.found[prefix] = at // before it is listed, so that it takes what comes meanwhile
	}
	f.mu.Unlock()
	at.listing.Lock() // one lists for all who ask
	defer at.listing.Unlock()
	var there []feed.ID
	if time.Since(at.listed) >= pushRelist {
		var err error
		if there, err = f.logs.ListPrefix(ctx, prefix); err != nil {
			return nil, at.listed, err
		}
		at.listed = time.Now()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range there {
		at.add(id)
	}
	return at.all, at.listed, nil
}

// add reports whether the feed is new. The caller holds the lock of pushFeeds.
func (at *foundFeeds) add(id feed.ID) bool {
	if at.has[id] {
		return false
	}
	at.has[id] = true
	at.all = append(at.all, id)
	return true
}

// note takes in that there is a feed, and tells who waits for it where it is new.
func (f *pushFeeds) note(id feed.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	news, name := false, id.String()
	for prefix, at := range f.found {
		if strings.HasPrefix(name, prefix) && at.add(id) {
			news = true
		}
	}
	if !news {
		return
	}
	for w := range f.waiting {
		if slices.ContainsFunc(w.patterns, func(p feed.Pattern) bool { return p.Match(id) }) {
			w.came()
		}
	}
}

// wait calls came, which must not wait, when there is a new feed that patterns select.
// stop ends that.
func (f *pushFeeds) wait(patterns []feed.Pattern, came func()) (stop func()) {
	w := &feedWait{patterns, came}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting[w] = struct{}{}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.waiting, w)
	}
}

// keepOnly forgets what no push is of.
func (f *pushFeeds) keepOnly(pushes []pushRecord) {
	prefixes := map[string]bool{}
	for _, record := range pushes {
		for _, p := range record.patterns() {
			prefixes[p.Prefix()] = true
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for prefix := range f.found {
		if !prefixes[prefix] {
			delete(f.found, prefix)
		}
	}
}
