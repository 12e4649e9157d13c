package log

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"airlock/feed"
	"airlock/storage"
	"airlock/trust"
)

// Errors on which callers branch. A feed that does not exist is fs.ErrNotExist.
var (
	// ErrForeignKey reports a feed whose log key is another operator's: it can
	// be read here, not added to.
	ErrForeignKey = errors.New("the feed's log is signed by another key")
	// ErrWentBack reports a store that holds less, or something else, than it
	// did before: an old copy was put back, or somebody rewrote it.
	ErrWentBack = errors.New("the store holds an older or another log than before")
	// ErrBusy reports a log that could not commit for too long, because others did.
	// Where the store did not answer it is storage.ErrAway.
	ErrBusy = errors.New("too many writers at once")
	// ErrDamaged reports a part of the log that must be in the store and is
	// missing or not what it was.
	ErrDamaged = errors.New("the store lost a part of the log")
	// ErrClosed reports an Append to logs that were closed.
	ErrClosed = errors.New("the log is closed")
)

// Config is what a set of logs works with.
type Config struct {
	Store *storage.Store
	// Cache keeps small objects that were read or written, such as the statements
	// that wait for their segment; nil for none.
	Cache *storage.Cache
	// Key signs checkpoints. Without one the logs can be read, not added to.
	Key feed.LogKey
	// Owner is the hint that a commit leaves of who made it; see Log.Owner.
	Owner string
	// Floor keeps the highest head seen, against a store that goes back. nil
	// keeps it for the life of the process.
	Floor Floor
	// Window is how long a group waits for more after its first submission.
	// Zero suits local stores: what arrives during a commit forms the next
	// group anyway.
	Window time.Duration
	// Fresh is how long a head counts as current before it is read again on
	// behalf of readers; it bounds how late they see other writers.
	Fresh time.Duration
	// Recheck is how often feeds that are watched are looked at for what other
	// processes have committed, where they are few; 2 s.
	Recheck time.Duration
	Logger  *slog.Logger
	Now     func() time.Time
}

// Logs opens the feeds of one store.
type Logs struct {
	config  Config
	counts  counts
	claimed atomic.Bool // the store is this operator's

	mu     sync.Mutex
	open   map[feed.ID]*Log
	closed bool
	wg     sync.WaitGroup
	stop   context.CancelFunc
	ctx    context.Context

	// What looks at watched feeds; ended first when the logs are closed.
	looking  sync.Once
	stopLook context.CancelFunc
	look     context.Context
}

// New returns the logs of a store. Close ends them.
func New(c Config) *Logs {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Recheck = cmp.Or(c.Recheck, 2*time.Second)
	out := &Logs{config: c, open: map[feed.ID]*Log{}}
	out.ctx, out.stop = context.WithCancel(context.Background())
	out.look, out.stopLook = context.WithCancel(out.ctx)
	return out
}

// Close waits for running commits and for what they have left to write. What
// was queued before it still gets its answer; a later Append is refused with
// ErrClosed.
func (l *Logs) Close() error {
	l.stopLook()
	l.mu.Lock()
	l.closed = true
	for _, log := range l.open {
		log.once.Do(func() { close(log.stopped) })
	}
	l.mu.Unlock()
	l.wg.Wait()
	l.stop()
	return nil
}

// run starts a committer, unless the logs are closed: nothing may begin that
// Close does not wait for.
func (l *Logs) run(log *Log) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && !log.running {
		log.running = true
		log.queue = make(chan *request, 256)
		l.wg.Go(log.run)
	}
	return !l.closed
}

// Feed returns the log of a feed, whether or not it exists yet. It is kept once
// there is one: anybody can name feeds.
func (l *Logs) Feed(id feed.ID) *Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	if log, ok := l.open[id]; ok {
		return log
	}
	return newLog(l, id)
}

// keep makes a log the one that all callers get for its feed, unless there is
// another already, and returns that one.
func (l *Logs) keep(log *Log) *Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	if have, ok := l.open[log.id]; ok {
		return have
	}
	if !l.closed {
		l.open[log.id] = log
	}
	return log
}

// List returns the feeds of Spaces, or where none is named of all that have some in
// the store.
func (l *Logs) List(ctx context.Context, of ...trust.Space) ([]feed.ID, error) {
	if len(of) == 0 {
		return l.ListPrefix(ctx, "")
	}
	var out []feed.ID
	for _, s := range of {
		some, err := l.ListPrefix(ctx, s.String()+"/")
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// ListPrefix returns the feeds of the store whose names begin so, all for "".
func (l *Logs) ListPrefix(ctx context.Context, prefix string) ([]feed.ID, error) {
	var out []feed.ID
	for key, err := range l.config.Store.Files.List(ctx, feedPrefix+prefix, "") {
		if err != nil {
			return nil, err
		}
		id, err := feed.ParseID(key[len(feedPrefix):])
		if err != nil {
			return nil, fmt.Errorf("store: key %q: %w", key, err)
		}
		out = append(out, id)
	}
	return out, nil
}

// Log is one feed in a store.
type Log struct {
	logs    *Logs
	config  *Config
	id      feed.ID
	objects storage.Objects

	queue    chan *request // nil until the committer runs
	stopped  chan struct{} // closed when no more is taken
	finished chan struct{} // closed when the committer has answered everything
	once     sync.Once
	running  bool // guarded by Logs.mu

	mu       sync.Mutex // guards what follows
	head     *Head
	readAt   time.Time
	watchers map[chan<- struct{}]struct{} // see Logs.Watch
	told     int64                        // entries that another process said there are; see Logs.Grown

	reads *feed.Turns[int64, *Head] // of the cell

	// The committer's own. indexMu lets others look into it.
	indexMu sync.Mutex
	index   *feed.Index
	signers *feed.Signers // nil until the index was loaded
	listed  bool          // the feed's list entry was seen to be there

	named  named
	stages *stages

	left       sync.Once               // see leaveOnce
	spillMu    sync.Mutex              // guards what follows
	spilled    map[int64]chan struct{} // segment number → closed when durable
	leaving    bool                    // a checkpoint is being left for readers
	leaveAgain bool
}

func newLog(l *Logs, id feed.ID) *Log {
	space := id.Space.String()
	objects := l.config.Store.Objects(space)
	if l.config.Cache != nil {
		objects = l.config.Cache.Objects(space, objects)
	}
	return &Log{
		logs: l, config: &l.config, id: id, objects: objects,
		stopped: make(chan struct{}), finished: make(chan struct{}),
		watchers: map[chan<- struct{}]struct{}{},
		index:    feed.NewIndex(), spilled: map[int64]chan struct{}{}, stages: newStages(),
		reads: feed.NewTurns[int64, *Head](),
	}
}
