package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
)

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

// sum is a digest of all of them.
func (n *promises) sum() []byte {
	var all []string
	for d, p := range n.objects {
		all = append(all, fmt.Sprintf("object %s %t %d", d, p.kept, p.date.UnixNano()))
	}
	for key, p := range n.files {
		all = append(all, fmt.Sprintf("file %q %q %t", key, p.value, p.kept))
	}
	for key, p := range n.cells {
		all = append(all, fmt.Sprintf("cell %q %q %d", key, p.values, p.seen))
	}
	slices.Sort(all)
	sum := DigestOf([]byte(strings.Join(all, "\n")))
	return sum[:]
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

// newActor opens the store on a disk, as a new process does.
func newActor(ctx context.Context, d *crashDisk, noted *promises) (*actor, error) {
	s := newDirStore(crashRoot, d, &testLocks{})
	s.now = d.now
	s.small = int64(len(crashBig)) - 1
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return &actor{ctx: ctx, store: s, ports: chunked(s.ports(), int64(len(crashBig))), noted: noted}, nil
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
