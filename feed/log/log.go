package log

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/storage"
)

// Errors on which callers branch. A feed that does not exist is fs.ErrNotExist.
var (
	// ErrForeignKey reports a feed whose log key is another operator's: it can
	// be read here, not added to.
	ErrForeignKey = errors.New("the feed's log is signed by another key")
	// ErrWentBack reports a store that holds less, or something else, than it
	// did before: an old copy was put back, or somebody rewrote it.
	ErrWentBack = errors.New("the store holds an older or another log than before")
	// ErrBusy reports a log that could not commit for too long.
	ErrBusy = errors.New("too many writers or no answer from the store")
	// ErrDamaged reports a part of the log that must be in the store and is
	// missing or not what it was.
	ErrDamaged = errors.New("the store lost a part of the log")
	// ErrClosed reports an Append to logs that were closed.
	ErrClosed = errors.New("the log is closed")
)

// Config is what a set of logs works with.
type Config struct {
	Store *storage.Store
	// Key signs checkpoints. Without one the logs can be read, not added to.
	Key feed.LogKey
	// Floor keeps the highest head seen, against a store that goes back. nil
	// keeps it for the life of the process.
	Floor Floor
	// Window is how long a group waits for more after its first submission.
	// Zero suits local stores: what arrives during a commit forms the next
	// group anyway.
	Window time.Duration
	// Fresh is how long a head counts as current before it is read again on
	// behalf of readers; it bounds how late they see other writers.
	Fresh  time.Duration
	Logger *slog.Logger
	Now    func() time.Time
}

// Floor remembers heads outside the store.
type Floor interface {
	// Lowest returns the head that the feed must not fall below.
	Lowest(feed.ID) (epoch uint64, size int64, root tlog.Hash)
	// Raise records a head that was seen. It may be written later.
	Raise(id feed.ID, epoch uint64, size int64, root tlog.Hash)
}

// Logs opens the feeds of one store.
type Logs struct {
	config Config

	mu     sync.Mutex
	open   map[feed.ID]*Log
	closed bool
	wg     sync.WaitGroup
	stop   context.CancelFunc
	ctx    context.Context
}

// New returns the logs of a store. Close ends them.
func New(c Config) *Logs {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Logs{config: c, open: map[feed.ID]*Log{}, ctx: ctx, stop: stop}
}

// Close waits for running commits and for what they have left to write. What
// was queued before it still gets its answer; a later Append is refused with
// ErrClosed.
func (l *Logs) Close() error {
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
		l.wg.Go(log.run)
	}
	return !l.closed
}

// Feed returns the log of a feed, whether or not it exists yet.
func (l *Logs) Feed(id feed.ID) *Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	if log, ok := l.open[id]; ok {
		return log
	}
	log := newLog(l, id)
	l.open[id] = log
	return log
}

// List returns the feeds of the store.
func (l *Logs) List(ctx context.Context) ([]feed.ID, error) {
	var out []feed.ID
	for key, err := range l.config.Store.Files.List(ctx, feedPrefix, "") {
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

const feedPrefix = "feeds/"

// Log is one feed in a store.
type Log struct {
	logs    *Logs
	config  *Config
	id      feed.ID
	objects storage.Objects

	queue    chan *request
	stopped  chan struct{} // closed when no more is taken
	finished chan struct{} // closed when the committer has answered everything
	once     sync.Once
	running  bool // guarded by Logs.mu

	mu      sync.Mutex // guards what follows
	head    *Head
	readAt  time.Time
	changed chan struct{} // closed when head grows

	// loading admits one reader of the cell at a time.
	loading sync.Mutex

	// The committer's own. indexMu lets others take full pages out of it.
	indexMu sync.Mutex
	index   *feed.Index
	listed  bool // the feed's list entry was seen to be there

	spillMu    sync.Mutex              // guards what follows
	spilled    map[int64]chan struct{} // segment number → closed when durable
	leaving    bool                    // a checkpoint is being left for readers
	leaveAgain bool
}

func newLog(l *Logs, id feed.ID) *Log {
	return &Log{
		logs: l, config: &l.config, id: id,
		objects: l.config.Store.Objects(id.Space.String()),
		queue:   make(chan *request, 256), stopped: make(chan struct{}), finished: make(chan struct{}),
		changed: make(chan struct{}),
		index:   feed.NewIndex(), spilled: map[int64]chan struct{}{},
	}
}

// Head is a feed as one read of its cell showed it.
type Head struct {
	Epoch      uint64
	Checkpoint feed.Checkpoint
	Edge       feed.Edge // over all entries
	cell       *cell
	tag        string
	own        bool // the cell is signed by the key of this process
}

// Head returns the current head, at most Config.Fresh old. It never goes back:
// a store that does gives ErrWentBack. fs.ErrNotExist where there is no feed.
func (l *Log) Head(ctx context.Context) (*Head, error) {
	if h := l.cached(); h != nil {
		return h, nil
	}
	l.loading.Lock()
	defer l.loading.Unlock()
	if h := l.cached(); h != nil {
		return h, nil // another reader was faster
	}
	return l.load(ctx)
}

func (l *Log) cached() *Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head == nil {
		return nil
	}
	// A clock that was set back makes the age negative: read again.
	if age := l.config.Now().Sub(l.readAt); age < 0 || age >= l.config.Fresh {
		return nil
	}
	return l.head
}

// Changed returns the newest head known here and a channel that is closed when
// there is a newer one.
func (l *Log) Changed() (*Head, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head, l.changed
}

// load reads the cell and makes it the head. It returns the newest head known
// when it is done, which a commit may have moved past what was read.
func (l *Log) load(ctx context.Context) (*Head, error) {
	// What the store must not fall below is noted before it is read: a commit
	// meanwhile raises the floor, and the read is then only late.
	known, low := l.lowest()
	h, err := l.read(ctx, known)
	if errors.Is(err, fs.ErrNotExist) && low.size > 0 {
		return nil, fmt.Errorf("feed %s: %w: it is gone, was epoch %d with %d entries", l.id, ErrWentBack, low.epoch, low.size)
	}
	if err == nil && !h.own && h.Checkpoint.Size > h.cell.size() {
		// The checkpoint was left after the cell was read, so now both agree.
		if h, err = l.read(ctx, known); err == nil && h.Checkpoint.Size > h.cell.size() {
			err = fmt.Errorf("%w: checkpoint of %d entries, and the log has %d", ErrWentBack, h.Checkpoint.Size, h.cell.size())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("feed %s: %w", l.id, err)
	}
	if h == known {
		return l.publish(known), nil
	}
	if known != nil {
		if err := notBelow(h, known.floor()); err != nil {
			return nil, fmt.Errorf("feed %s: %w", l.id, err)
		}
	}
	if err := notBelow(h, low); err != nil {
		return nil, fmt.Errorf("feed %s: %w", l.id, err)
	}
	if h.own { // what nobody vouches for raises nothing
		l.raise(h)
	}
	return l.publish(h), nil
}

// read reads the cell. It returns known itself where that is still all there is.
func (l *Log) read(ctx context.Context, known *Head) (*Head, error) {
	value, tag, err := l.config.Store.Cells.Load(ctx, l.cellKey())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("feed %s: %w", l.id, fs.ErrNotExist) // where it would lie is nobody's business
	}
	if err != nil {
		return nil, err
	}
	if known != nil && known.tag == tag && known.Checkpoint.Size == known.cell.size() {
		return known, nil
	}
	return l.parse(ctx, value, tag)
}

// parse makes a head of a cell's value. Without the key that signed the cell
// the checkpoint is the one that was left for readers.
func (l *Log) parse(ctx context.Context, value []byte, tag string) (*Head, error) {
	key := l.config.Key
	var public []byte
	if !key.IsZero() {
		public = key.Public()
	}
	c, err := parseCell(value, public)
	if errors.Is(err, ErrForeignKey) {
		c, err = parseCell(value, nil)
		public = nil
	}
	if err != nil {
		return nil, err
	}
	if want := l.id.Origin(c.epoch); c.origin != want {
		return nil, fmt.Errorf("%w: cell of %.200q", errCell, c.origin)
	}
	h := &Head{Epoch: c.epoch, Edge: c.fullEdge(), cell: c, tag: tag, own: public != nil}
	if h.own {
		h.Checkpoint, err = key.Sign(c.origin, c.size(), c.root)
	} else {
		h.Checkpoint, err = l.storedCheckpoint(ctx)
	}
	return h, err
}

// errNoCheckpoint also matches fs.ErrNotExist: for readers the feed is not
// there yet.
var errNoCheckpoint = errors.New("no checkpoint was left for readers yet")

// storedCheckpoint serves readers who do not hold the log key: the checkpoint
// that the committer left. It may be behind the cell, and, where it was left
// after the cell was read, ahead of it.
func (l *Log) storedCheckpoint(ctx context.Context) (feed.Checkpoint, error) {
	value, _, err := l.config.Store.Cells.Load(ctx, l.checkpointKey())
	if errors.Is(err, fs.ErrNotExist) {
		return feed.Checkpoint{}, fmt.Errorf("%w: %w", errNoCheckpoint, err)
	}
	if err != nil {
		return feed.Checkpoint{}, err
	}
	return feed.ParseCheckpoint(value)
}

// floor is a head that the store must not fall below.
type floor struct {
	epoch uint64
	size  int64
	root  tlog.Hash
}

func (h *Head) floor() floor { return floor{h.Epoch, h.cell.size(), h.cell.root} }

// lowest returns the head of this process, and what the store must not fall
// below: by that head, or by the memory that outlives the process.
func (l *Log) lowest() (known *Head, low floor) {
	l.mu.Lock()
	known = l.head
	l.mu.Unlock()
	if l.config.Floor != nil {
		low.epoch, low.size, low.root = l.config.Floor.Lowest(l.id)
	}
	if low.size == 0 && known != nil {
		low = known.floor()
	}
	return known, low
}

func (l *Log) raise(h *Head) {
	if l.config.Floor != nil {
		l.config.Floor.Raise(l.id, h.Epoch, h.cell.size(), h.cell.root)
	}
}

// notBelow refuses a head below low.
func notBelow(h *Head, low floor) error {
	switch {
	case h.Epoch > low.epoch:
		return nil
	case h.Epoch < low.epoch || h.cell.size() < low.size:
		return fmt.Errorf("%w: epoch %d with %d entries, was epoch %d with %d", ErrWentBack, h.Epoch, h.cell.size(), low.epoch, low.size)
	case h.cell.size() == low.size && h.cell.root != low.root:
		return fmt.Errorf("%w: another root at %d entries", ErrWentBack, low.size)
	}
	return nil
}

// publish makes h the head that readers get, unless there is a newer one, and
// wakes them if it is new. It returns the head that counts now.
func (l *Log) publish(h *Head) *Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readAt = l.config.Now()
	if l.head == h {
		return h
	}
	if l.head != nil && l.head.Epoch == h.Epoch && l.head.cell.size() > h.cell.size() {
		return l.head // a slower read of an older state
	}
	l.head = h
	close(l.changed)
	l.changed = make(chan struct{})
	return h
}

func (l *Log) cellKey() string       { return "log/" + l.id.String() }
func (l *Log) checkpointKey() string { return "checkpoint/" + l.id.String() }
func (l *Log) listKey() string       { return feedPrefix + l.id.String() }

// partKey is the key of a part of an epoch, n in the path encoding of C2SP
// tlog-tiles.
func (l *Log) partKey(epoch uint64, part string, n int64) string {
	return fmt.Sprintf("log/%s/e%d/%s/%s", l.id, epoch, part, pathNumber(n))
}

func (l *Log) packKey(epoch uint64, n int64) string {
	return fmt.Sprintf("pack/%s/e%d/%s", l.id, epoch, pathNumber(n))
}

// pathNumber writes n in groups of three digits, all but the last with an "x"
// before them (C2SP tlog-tiles, "Merkle Tree").
func pathNumber(n int64) string {
	out := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		out = fmt.Sprintf("x%03d/%s", n%1000, out)
	}
	return out
}
