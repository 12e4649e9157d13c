package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"airlock/feed"
	"airlock/storage"
)

const (
	// accessFresh is how old what is known of the head may be: as long a
	// credential may count after it was revoked.
	accessFresh = time.Second
	// accessRound is how long a bucket is believed without reading it again,
	// whatever the head says, and how long while the store does not answer.
	accessRound = time.Minute
)

// accessState is what this server knows of the access cells. It may be used
// concurrently.
type accessState struct {
	cells  storage.Cells
	now    func() time.Time
	logger *slog.Logger

	loads   *feed.Turns[accessWants, struct{}]
	heads   *feed.Turns[struct{}, *accessHead]
	tried   atomic.Pointer[time.Time]
	reading atomic.Bool                // since tried
	view    atomic.Pointer[accessView] // changed by who loads
}

// accessWants is what those want who wait for a reading.
type accessWants struct {
	anew    bool          // what changed, whatever is known
	buckets map[int]int64 // these, as that version of the head or a later one gave them
}

// accessView is a state as it was known at one time. It does not change.
type accessView struct {
	buckets [allBuckets]*loadedBucket
	changed chan struct{} // closed by the view that says something else
}

// loadedBucket is a bucket as it was read.
type loadedBucket struct {
	*accessBucket
	tag     string
	version int64 // of the head that was read before
	readAt  time.Time
	tokens  map[storage.Digest]tokenHolder
}

func newAccessState(cells storage.Cells, now func() time.Time, logger *slog.Logger) *accessState {
	a := &accessState{cells: cells, now: now, logger: logger, loads: feed.NewTurns[accessWants, struct{}](), heads: feed.NewTurns[struct{}, *accessHead]()}
	a.tried.Store(&time.Time{})
	a.view.Store(&accessView{changed: make(chan struct{})})
	return a
}

// within reports whether t is at most d ago; a clock that was set back makes
// everything old.
func within(now, t time.Time, d time.Duration) bool {
	age := now.Sub(t)
	return age >= 0 && age < d
}

// bucket returns a bucket, at most accessFresh old; one that another caller is
// reading anew just now as it was before.
func (a *accessState) bucket(ctx context.Context, n int) (*loadedBucket, error) {
	b := a.known(n, 0)
	if b == nil {
		return a.load(ctx, n, 0)
	}
	now, tried := a.now(), a.tried.Load()
	if within(now, *tried, accessFresh) || a.reading.Load() || !a.tried.CompareAndSwap(tried, &now) {
		return b, nil // whether or not the store answered, or will
	}
	// It is read for all, so it is also waited for when this caller has left.
	if err := a.refresh(context.WithoutCancel(ctx)); err != nil {
		a.logger.Warn("access not read", "error", err)
	}
	return a.view.Load().buckets[n], nil // what is known counts until it is accessRound old
}

// newest returns a bucket as it is now. The head is read after each call, for all
// at once who called meanwhile.
func (a *accessState) newest(ctx context.Context, n int) (*loadedBucket, error) {
	head, err := a.heads.Do(ctx, func(*struct{}) bool { return true }, a.headNow)
	if err != nil {
		return nil, err
	}
	if b := a.known(n, head.Versions[n]); b != nil {
		return b, nil
	}
	return a.load(ctx, n, head.Versions[n])
}

// headTimeout bounds what is read for several callers.
const headTimeout = 30 * time.Second

func (a *accessState) headNow(ctx context.Context, _ struct{}) (*accessHead, error) {
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	head, _, err := a.readHead(ctx)
	return head, err
}

// known returns a bucket as a head that gave it that version, or a later one,
// showed it; nil where it is not known, or too old to be believed.
func (a *accessState) known(n int, version int64) *loadedBucket {
	b := a.view.Load().buckets[n]
	if b == nil || b.version < version || !within(a.now(), b.readAt, accessRound) {
		return nil
	}
	return b
}

// load reads what is not known, or may be another by now, and returns a bucket
// that is not older than the version; once for all who wait for it.
func (a *accessState) load(ctx context.Context, n int, version int64) (*loadedBucket, error) {
	_, err := a.loads.Do(ctx, func(w *accessWants) bool {
		if w.buckets == nil {
			w.buckets = map[int]int64{}
		}
		w.buckets[n] = max(w.buckets[n], version)
		return true
	}, a.read)
	if b := a.known(n, version); b != nil {
		return b, nil // whatever is wrong with others
	}
	if err == nil {
		err = fmt.Errorf("store: %s counts fewer changes of %s than a moment ago", accessHeadKey, bucketKey(n))
	}
	return nil, err
}

// refresh reads what changed.
func (a *accessState) refresh(ctx context.Context) error {
	_, err := a.loads.Do(ctx, func(w *accessWants) bool { w.anew = true; return true }, a.read)
	return err
}

// read reads the head, and the buckets that may say something else than what is
// known here, and those that are wanted also where they are not known.
func (a *accessState) read(ctx context.Context, wants accessWants) (struct{}, error) {
	if !wants.anew && a.knowsAll(wants.buckets) {
		return struct{}{}, nil // the turn before read them
	}
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	a.reading.Store(true) // who knows a bucket does not wait for this one, however long it takes
	defer a.reading.Store(false)
	now := a.now()
	a.tried.Store(&now)
	head, _, err := a.readHead(ctx)
	if err != nil {
		return struct{}{}, err
	}
	old, news := a.view.Load(), false
	next := &accessView{buckets: old.buckets, changed: old.changed}
	for n, b := range old.buckets {
		if _, wanted := wants.buckets[n]; b == nil && !wanted || b != nil && b.version >= head.Versions[n] && within(now, b.readAt, accessRound) {
			continue
		}
		read, readErr := a.readBucket(ctx, n, head.Versions[n])
		if readErr != nil { // of others later; what is known of them counts until it is accessRound old
			err = errors.Join(err, readErr)
			continue
		}
		next.buckets[n] = read
		news = news || b != nil && b.tag != read.tag
	}
	if news {
		next.changed = make(chan struct{})
	}
	a.view.Store(next)
	if news {
		close(old.changed)
	}
	return struct{}{}, err
}

func (a *accessState) knowsAll(buckets map[int]int64) bool {
	for n, version := range buckets {
		if a.known(n, version) == nil {
			return false
		}
	}
	return true
}

// readBucket reads a bucket, after a head that gave it that version.
func (a *accessState) readBucket(ctx context.Context, n int, version int64) (*loadedBucket, error) {
	raw, tag, err := a.cells.Load(ctx, bucketKey(n))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	b, err := parseBucket(n, raw)
	if err != nil {
		return nil, err
	}
	return &loadedBucket{accessBucket: b, tag: tag, version: version, readAt: a.now(), tokens: b.holders()}, nil
}

// change changes a bucket: edit is called, again where another writer was
// faster, with the bucket as it stands. Where edit changes nothing nothing is
// written. On return this server goes by the change, and the others do within
// accessFresh.
func (a *accessState) change(ctx context.Context, n int, edit func(*accessBucket) error) error {
	changed := false
	err := retrySwap(func() error {
		raw, tag, err := a.cells.Load(ctx, bucketKey(n))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		b, err := parseBucket(n, raw)
		if err != nil {
			return err
		}
		if err := edit(b); err != nil {
			return err
		}
		next, err := b.format(n)
		if err != nil || bytes.Equal(raw, next) || raw == nil && len(b.Spaces)+len(b.Tokens) == 0 {
			return err
		}
		_, err = a.cells.Swap(ctx, bucketKey(n), tag, next)
		changed = changed || err == nil || errors.Is(err, storage.ErrUnclear)
		return err
	})
	if err != nil || !changed {
		return err
	}
	if err := a.raise(ctx, n); err != nil {
		return fmt.Errorf("it is changed, and servers that run heed it within %s: %w", accessRound, err)
	}
	_, err = a.newest(ctx, n)
	return err
}

// watch looks for changes until ctx ends, so that callers that wait hear of
// them.
func (a *accessState) watch(ctx context.Context) {
	tick := time.NewTicker(accessFresh)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := a.refresh(ctx); err != nil && ctx.Err() == nil {
			a.logger.Warn("access not read", "error", err)
		}
	}
}
