package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// The proof of the directory store's durability. A power cut is tried after
// every single step of every scenario, on a disk that forgets all that was not
// synced; what had been acknowledged must be there, whole, and what had not
// must be there whole or not at all. Killing a process alone would prove
// nothing: the page cache outlives it.

const crashRoot = "/srv/feeds/store"

// promises is what a store acknowledged, and what it was asked for.
type promises struct {
	objects map[Digest]*promisedObject
	files   map[string]*promisedFile
	cells   map[string]*promisedCell
}

type promisedObject struct {
	data []byte
	kept bool
	date time.Time // of the last acknowledged put
}

type promisedFile struct {
	value []byte
	kept  bool
}

type promisedCell struct {
	values [][]byte // in the order they were asked for
	seen   int      // how many of them the cell must have reached
}

func newPromises() *promises {
	return &promises{map[Digest]*promisedObject{}, map[string]*promisedFile{}, map[string]*promisedCell{}}
}

// actor does what a scenario says with one store, and notes the promises.
type actor struct {
	ctx   context.Context // of the test
	store *dirStore
	ports *Store
	noted *promises
}

const crashSpace = "acme/dev-qa"

func (a *actor) put(data []byte) error { return a.putAll(data) }

// putAll stores as one batch, or a single one with Put.
func (a *actor) putAll(all ...[]byte) error {
	var items []Item
	for _, data := range all {
		items = append(items, Item{Ref: RefOf(data), Data: data})
		if a.noted.objects[DigestOf(data)] == nil {
			a.noted.objects[DigestOf(data)] = &promisedObject{data: data}
		}
	}
	before := a.store.now()
	o := a.ports.Objects(crashSpace)
	var err error
	if len(all) == 1 {
		err = o.Put(a.ctx, items[0].Ref, bytes.NewReader(all[0]))
	} else {
		err = PutAll(a.ctx, o, items)
	}
	for _, it := range items {
		if p := a.noted.objects[it.Ref.Digest]; err == nil {
			p.kept, p.date = true, before
		}
	}
	return err
}

func (a *actor) create(key, value string) error {
	if a.noted.files[key] == nil {
		a.noted.files[key] = &promisedFile{value: []byte(value)}
	}
	err := a.ports.Files.Create(a.ctx, key, []byte(value))
	if err == nil {
		a.noted.files[key].kept = true
	}
	return err
}

// load reads a cell. What was seen may not be lost any more.
func (a *actor) load(key string) error {
	got, _, err := a.ports.Cells.Load(a.ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if p := a.noted.cells[key]; err == nil && p != nil {
		p.seen = max(p.seen, p.reached(got))
	}
	return err
}

// swap loads a cell and puts value in its place. What was loaded may not be
// lost any more, whoever wrote it.
func (a *actor) swap(key, value string) error {
	p := a.noted.cells[key]
	if p == nil {
		p = &promisedCell{}
		a.noted.cells[key] = p
	}
	got, tag, err := a.ports.Cells.Load(a.ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		tag = ""
	case err != nil:
		return err
	default:
		p.seen = max(p.seen, p.reached(got))
	}
	p.values = append(p.values, []byte(value))
	if _, err = a.ports.Cells.Swap(a.ctx, key, tag, []byte(value)); err == nil {
		p.seen = len(p.values)
	}
	return err
}

// reached returns how many values had been asked for up to the one got, -1 for
// a value that nobody asked for.
func (p *promisedCell) reached(got []byte) int {
	for i := len(p.values); i > 0; i-- {
		if bytes.Equal(p.values[i-1], got) {
			return i
		}
	}
	return -1
}

// check returns the first promise that the store does not keep; on request
// only of those acknowledged.
func (a *actor) check(keptOnly bool) error {
	for d, p := range a.noted.objects {
		if keptOnly && !p.kept {
			continue
		}
		if err := a.checkObject(d, p); err != nil {
			return fmt.Errorf("object of %d bytes (kept: %v): %w", len(p.data), p.kept, err)
		}
	}
	for key, p := range a.noted.files {
		if keptOnly && !p.kept {
			continue
		}
		got, err := a.ports.Files.Get(a.ctx, key)
		if errors.Is(err, fs.ErrNotExist) && !p.kept {
			continue
		}
		if err != nil || !bytes.Equal(got, p.value) {
			return fmt.Errorf("file %q (kept: %v): holds %q, %v", key, p.kept, got, err)
		}
	}
	for key, p := range a.noted.cells {
		got, _, err := a.ports.Cells.Load(a.ctx, key)
		if errors.Is(err, fs.ErrNotExist) && p.seen == 0 {
			continue
		}
		if err != nil || p.reached(got) < max(p.seen, 1) {
			return fmt.Errorf("cell %q went back: holds %q, %v; had reached %d of %q", key, got, err, p.seen, p.values)
		}
	}
	return nil
}

func (a *actor) checkObject(d Digest, p *promisedObject) error {
	o := a.ports.Objects(crashSpace)
	body, err := o.Get(a.ctx, d, 0)
	if errors.Is(err, fs.ErrNotExist) && !p.kept {
		return nil
	}
	if err != nil {
		return err
	}
	got, err := io.ReadAll(body)
	if err != nil || !bytes.Equal(got, p.data) {
		return fmt.Errorf("holds %d bytes, %w", len(got), err)
	}
	info, err := o.Stat(a.ctx, d)
	if p.kept && info.Modified.Before(p.date) {
		return fmt.Errorf("dated %v, put again after %v", info.Modified, p.date)
	}
	return err
}

// scenario does one thing after another until an error, which is always the
// power cut.
type scenario struct {
	name  string
	setup func(d *crashDisk) error // by somebody else in an existing store, nothing synced
	run   func(a *actor) error
	then  func(a *actor) error // by a process after a killed one; nil for the same
}

func steps(do ...func(a *actor) error) func(a *actor) error {
	return func(a *actor) error {
		for _, step := range do {
			if err := step(a); err != nil {
				return err
			}
		}
		return nil
	}
}

var (
	crashBig   = []byte("0123456789abcdef")
	crashSmall = [][]byte{[]byte("one"), []byte("two"), {}, []byte("four")}
)

var scenarios = []scenario{
	{name: "large object, twice", run: steps(
		func(a *actor) error { return a.put(crashBig) },
		func(a *actor) error { return a.put(crashBig) },
	)},
	{name: "files in new folders", run: steps(
		func(a *actor) error { return a.create("e1/tile/0/x000/001", "tile") },
		func(a *actor) error { return a.create("e1/tile/0/x000/002", "tile") },
		func(a *actor) error { return a.create("e1/tile/0/x000/001", "tile") },
	)},
	{name: "file restored from a backup", setup: func(d *crashDisk) error {
		return restore(d, crashRoot+"/files/a/b", "value")
	}, run: steps(func(a *actor) error { return a.create("a/b", "value") })},
	{name: "objects restored from a backup", setup: func(d *crashDisk) error {
		return errors.Join(
			restore(d, crashRoot+"/"+objectKey(crashSpace, DigestOf(crashBig)), string(crashBig)),
			restore(d, crashRoot+"/"+objectKey(crashSpace, DigestOf(crashSmall[0])), "one"),
			restore(d, crashRoot+"/"+objectKey(crashSpace, DigestOf(crashSmall[1])), "damaged"))
	}, run: steps(
		func(a *actor) error { return a.put(crashBig) },
		func(a *actor) error { return a.putAll(crashSmall...) },
	)},
	{name: "cells", run: steps(
		func(a *actor) error { return a.swap("heads/a", "1") },
		func(a *actor) error { return a.swap("heads/b", "1") },
		func(a *actor) error { return a.swap("heads/a", "2") },
	)},
	{name: "cell read by another", run: steps(
		func(a *actor) error { return a.swap("heads/a", "1") },
		func(a *actor) error { return a.swap("heads/a", "2") },
	), then: func(a *actor) error { return a.load("heads/a") }},
	{name: "small object and batch, twice", run: steps(
		func(a *actor) error { return a.put(crashSmall[0]) },
		func(a *actor) error { return a.putAll(crashSmall...) },
		func(a *actor) error { return a.putAll(crashSmall...) },
	)},
}

// restore writes a file as cp would, into an existing store.
func restore(d *crashDisk, name, value string) error {
	for i := range len(name) {
		if name[i] == '/' && i > 0 {
			if err := d.Mkdir(name[:i]); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	}
	f, err := d.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(value))
	return err
}

// newActor opens the store on a disk, as a new process does.
func newActor(ctx context.Context, d *crashDisk, noted *promises) (*actor, error) {
	s := newDirStore(crashRoot, d, &testLocks{})
	s.now = d.now
	s.small = int64(len(crashBig)) - 1
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return &actor{ctx: ctx, store: s, ports: s.ports(), noted: noted}, nil
}

// begin runs a scenario on a disk; what the power cut, or a kill, breaks off is
// not an error.
func (sc scenario) begin(ctx context.Context, d *crashDisk, noted *promises) error {

	a, err := newActor(ctx, d, noted)
	if err == nil {
		err = sc.run(a)
	}
	if d.ops > d.limit {
		return nil
	}
	return err
}

// cuts cuts the power after every step of the scenario and returns the first
// broken promise. Each cut is looked at with several lucks.
func (sc scenario) cuts(ctx context.Context, start starter, lucks uint64) error {
	for limit := 1; ; limit++ {
		d, noted, err := start()
		if err != nil {
			return err
		}
		d.limit = d.ops + limit
		if err := sc.begin(ctx, d, noted); err != nil {
			return fmt.Errorf("cut after %d steps: %w", limit, err)
		}
		for seed := range lucks {
			if err := sc.afterwards(ctx, d.restart(luck(seed)), noted); err != nil {
				return fmt.Errorf("cut after %d steps, luck %d: %w", limit, seed, err)
			}
		}
		if d.ops <= d.limit {
			return nil
		}
	}
}

// luck is what saves some of what was not synced; with seed 0 nothing does.
func luck(seed uint64) *rand.Rand {
	if seed == 0 {
		return nil
	}
	return rand.New(rand.NewPCG(seed, seed))
}

// afterwards checks the promises, and that the store can go on. Where others
// wrote too, only what was acknowledged counts: theirs may be cut short.
func (sc scenario) afterwards(ctx context.Context, d *crashDisk, noted *promises) error {
	a, err := newActor(ctx, d, noted)
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	if err := a.check(sc.setup != nil); err != nil || sc.setup != nil {
		return err
	}
	a.noted = newPromises()
	if err := sc.run(a); err != nil {
		return fmt.Errorf("going on: %w", err)
	}
	return a.check(false)
}

// starter returns a disk as a scenario finds it, and what was promised on it.
type starter func() (*crashDisk, *promises, error)

// fresh returns a new disk on which one sync is left out.
func (sc scenario) fresh(ctx context.Context, skip syncPoint) (*crashDisk, *promises, error) {
	d := newCrashDisk()
	d.skip = skip
	if sc.setup == nil {
		return d, newPromises(), nil
	}
	if _, err := newActor(ctx, d, nil); err != nil {
		return nil, nil, err
	}
	return d, newPromises(), sc.setup(d)
}

// afterKill calls try with what comes next, and starts on a disk where a process
// was killed in the scenario, after every number of steps.
func (sc scenario) afterKill(ctx context.Context, skip syncPoint, try func(next scenario, start starter) error) error {
	next := sc
	if sc.then != nil {
		next.run = sc.then
	}
	for limit := 1; ; limit++ {
		var died bool
		start := func() (*crashDisk, *promises, error) {
			d, noted, err := sc.fresh(ctx, skip)
			if err != nil {
				return nil, nil, err
			}
			d.limit, d.kill = d.ops+limit, true
			err = sc.begin(ctx, d, noted)
			died = d.ops > d.limit
			return d.restart(nil), noted, err
		}
		if err := try(next, start); err != nil {
			return fmt.Errorf("killed after %d steps before: %w", limit, err)
		}
		if !died {
			return nil
		}
	}
}

func plainCuts(ctx context.Context, sc scenario, skip syncPoint) error {
	return sc.cuts(ctx, func() (*crashDisk, *promises, error) { return sc.fresh(ctx, skip) }, 6)
}

func cutsAfterKill(ctx context.Context, sc scenario, skip syncPoint) error {
	return sc.afterKill(ctx, skip, func(next scenario, start starter) error { return next.cuts(ctx, start, 3) })
}

func TestDurable(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			if err := errors.Join(plainCuts(t.Context(), sc, ""), cutsAfterKill(t.Context(), sc, "")); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEverySyncIsNeeded leaves out each sync in turn; a promise must break.
func TestEverySyncIsNeeded(t *testing.T) {
	for _, at := range declaredSyncs(t) {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			for _, try := range []func(context.Context, scenario, syncPoint) error{plainCuts, cutsAfterKill} {
				for _, sc := range scenarios {
					if err := try(t.Context(), sc, at); err != nil {
						t.Logf("%s: %v", sc.name, err)
						return
					}
				}
			}
			t.Error("nothing breaks without it")
		})
	}
}

// declaredSyncs returns the sync points of filelayer.go. Each must be used in
// exactly one place, so that leaving out the point leaves out the call.
func declaredSyncs(t *testing.T) []syncPoint {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var code, layer string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case name == "filelayer.go":
			layer = string(text)
		case !strings.HasSuffix(name, "_test.go"):
			code += string(text)
		}
	}
	var points []syncPoint
	for _, m := range regexp.MustCompile(`(sync\w+) +syncPoint = "([^"]+)"`).FindAllStringSubmatch(layer, -1) {
		if n := len(regexp.MustCompile(`\b`+m[1]+`\b`).FindAllString(code, -1)); n != 1 {
			t.Errorf("%s is used in %d places, want 1", m[1], n)
		}
		points = append(points, syncPoint(m[2]))
	}
	if len(points) < 10 {
		t.Fatalf("found only %d sync points", len(points))
	}
	return points
}

// testLocks are locks in memory; they end with the process that held them.
type testLocks struct {
	mu    sync.Mutex
	locks map[string]*sync.RWMutex
}

func (l *testLocks) Lock(_ context.Context, name string, exclusive bool) (func(), error) {
	l.mu.Lock()
	if l.locks == nil {
		l.locks = map[string]*sync.RWMutex{}
	}
	lock := l.locks[name]
	if lock == nil {
		lock = &sync.RWMutex{}
		l.locks[name] = lock
	}
	l.mu.Unlock()
	if exclusive {
		lock.Lock()
		return lock.Unlock, nil
	}
	lock.RLock()
	return lock.RUnlock, nil
}
