package log

import (
	"context"
	"slices"
	"sync"
	"time"

	"airlock/feed"
)

// Bounds of looking at watched feeds: how many at a time, and by lookAround in a
// second, lookEach after the other. Each look is a request to the store, whatever is
// new.
const (
	lookAtOnce = 8
	lookRate   = 512
	lookEach   = 64
)

// Watch sends on wake, and never waits for it, whenever one of the feeds has a
// newer head; wake has room for one. stop ends that. What other processes commit
// is found every Config.Recheck, or where so many feeds are watched that this would be
// more than lookRate a second, later. Feeds that do not exist are not watched.
func (l *Logs) Watch(ids []feed.ID, wake chan<- struct{}) (stop func()) {
	var watched []*Log
	l.mu.Lock()
	for _, id := range ids {
		if log, ok := l.open[id]; ok {
			watched = append(watched, log)
		}
	}
	if !l.closed {
		l.looking.Do(func() { l.wg.Go(l.lookAround) })
	}
	l.mu.Unlock()
	for _, log := range watched {
		log.mu.Lock()
		log.watchers[wake] = struct{}{}
		log.mu.Unlock()
	}
	return func() {
		for _, log := range watched {
			log.mu.Lock()
			delete(log.watchers, wake)
			log.mu.Unlock()
		}
	}
}

// wake tells who watches the feed. The caller holds mu.
func (l *Log) wake() {
	for w := range l.watchers {
		select {
		case w <- struct{}{}:
		default: // it was told and has not looked yet
		}
	}
}

// lookAround looks again and again whether other processes have added to the
// feeds that are watched. One look does for all who watch a feed.
func (l *Logs) lookAround() {
	tick := time.NewTicker(l.config.Recheck)
	defer tick.Stop()
	rest := time.NewTicker(time.Second * lookEach / lookRate)
	defer rest.Stop()
	for l.next(tick) {
		for some := range slices.Chunk(l.watched(), lookEach) {
			if !l.next(rest) {
				return
			}
			l.readHeads(l.look, some)
		}
	}
}

// next waits for a tick; it returns false once the logs are closed.
func (l *Logs) next(tick *time.Ticker) bool {
	select {
	case <-tick.C:
		return true
	case <-l.look.Done():
		return false
	}
}

// readHeads reads the heads of feeds that are watched, where what is at hand is
// old. One that cannot be read keeps nobody from the others.
func (l *Logs) readHeads(ctx context.Context, watched []*Log) {
	var running sync.WaitGroup
	defer running.Wait()
	room := make(chan struct{}, lookAtOnce)
	for _, log := range watched {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		running.Go(func() {
			defer func() { <-room }()
			if _, err := log.Head(ctx, 0); err != nil && ctx.Err() == nil {
				l.config.Logger.Debug("watched feed not read", "feed", log.id.String(), "error", err)
			}
		})
	}
}

// watched returns the logs that somebody watches.
func (l *Logs) watched() []*Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*Log
	for _, log := range l.open {
		log.mu.Lock()
		if len(log.watchers) > 0 {
			out = append(out, log)
		}
		log.mu.Unlock()
	}
	return out
}

// Grown says that feeds have at least so many entries, as another process told.
// A head with fewer counts as old, and is read again at once where somebody
// watches the feed, as far as ctx allows.
func (l *Logs) Grown(ctx context.Context, sizes map[feed.ID]int64) {
	var watched []*Log
	l.mu.Lock()
	for id, size := range sizes {
		if log, ok := l.open[id]; ok && log.hear(size) { // else no head of it is at hand
			watched = append(watched, log)
		}
	}
	l.mu.Unlock()
	l.readHeads(ctx, watched)
}

// hear notes how many entries another process said there are, and reports whether
// somebody watches the feed.
func (l *Log) hear(size int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = max(l.told, size)
	return len(l.watchers) > 0
}

// Owner returns the hint of who committed last, as it was at most Config.Fresh ago;
// empty where nobody left one. That others told of growth asks for no newer one:
// they do with each commit.
func (l *Log) Owner(ctx context.Context) (string, error) {
	l.mu.Lock()
	h := l.within(l.config.Fresh)
	l.mu.Unlock()
	if h == nil {
		var err error
		if h, err = l.Head(ctx, 0); err != nil {
			return "", err
		}
	}
	if !h.own {
		return "", nil // what nobody vouches for is no hint
	}
	return h.cell.owner, nil
}
