package storage

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	probeWriters = 8
	probeRounds  = 5
	probePause   = 3 // attempts that the pauses between rounds count more: 0.4 to 3.2 s
	probeTimeout = time.Minute
)

// Probe tries whether a store honours conditional writes. exclusive says why it
// does not: then only one server may write there; untried why that cannot be
// known, as of a store that is full or away. Both are empty for a store that does.
//
// Some S3 servers ignore conditions in silence; only trying tells.
func Probe(ctx context.Context, s *Store) (exclusive, untried string) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	p := &probe{store: s, folder: "probe/" + strings.ToLower(rand.Text())}
	defer p.cleanUp(ctx)
	for {
		err := p.run(ctx)
		if err == nil {
			return "", ""
		}
		if broken := (*brokenRule)(nil); errors.As(err, &broken) {
			return broken.Error(), ""
		}
		p.round++
		// An unclear answer says nothing about conditions, and a store that is gone
		// for seconds shall keep nobody alone for as long as it runs.
		if p.round == probeRounds || isUnclear(err) && !pause(ctx, probePause+p.round) {
			return "", fmt.Sprintf("conditional writes could not be tried: %v", err)
		}
	}
}

// brokenRule is a promise of Files or Cells that a store does not keep.
type brokenRule struct{ what string }

func (e *brokenRule) Error() string { return e.what }

func broken(format string, args ...any) error { return &brokenRule{what: fmt.Sprintf(format, args...)} }

type probe struct {
	store  *Store
	folder string
	round  int

	mu    sync.Mutex
	files []string // written, or tried to
	cells []string
}

func (p *probe) run(ctx context.Context) error {
	var errs [4]error
	var wg sync.WaitGroup
	// All go to their end: a request broken off could write after the clean-up.
	for i, try := range []func(context.Context) error{p.createRace, p.staleSwap, p.swapRace, p.order} {
		wg.Go(func() { errs[i] = try(ctx) })
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

func (p *probe) key(all *[]string, name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprintf("%s/%d/%s", p.folder, p.round, name)
	*all = append(*all, key)
	return key
}

func (p *probe) file(name string) string { return p.key(&p.files, name) }
func (p *probe) cell(name string) string { return p.key(&p.cells, name) }

// race runs one write for each writer at once, and checks that one went through
// and that read returns what it wrote. refused is what the others get. A writer
// whose answer was lost counts for neither; where it may be the one, the error is
// ErrUnclear.
func race(what string, refused error, write func(i byte) error, read func() ([]byte, error)) error {
	var errs [probeWriters]error
	var wg sync.WaitGroup
	for i := range byte(probeWriters) {
		wg.Go(func() { errs[i] = write(i) })
	}
	wg.Wait()
	var won []byte
	unsure := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won = append(won, byte(i))
		case errors.Is(err, ErrUnclear):
			unsure++
		case !errors.Is(err, refused):
			return err
		}
	}
	if len(won) > 1 || len(won)+unsure == 0 {
		return broken("of %d writers of one %s at once %d went through", probeWriters, what, len(won))
	}
	if len(won) == 0 { // one of them may have gone through, or none
		return fmt.Errorf("of %d writers of one %s at once none was answered that it went through: %w", probeWriters, what, ErrUnclear)
	}
	got, err := read()
	if err == nil && (len(got) != 1 || !bytes.Contains(won, got)) {
		return broken("a %s just written reads as something else", what)
	}
	return err
}

func (p *probe) createRace(ctx context.Context) error {
	key := p.file("race")
	return race("file", ErrExists,
		func(i byte) error { return p.store.Files.Create(ctx, key, []byte{i}) },
		func() ([]byte, error) { return p.store.Files.Get(ctx, key) })
}

func (p *probe) swapRace(ctx context.Context) error {
	key := p.cell("race")
	tag, err := p.store.Cells.Swap(ctx, key, "", nil)
	if err != nil {
		return err
	}
	write := func(i byte) error {
		_, err := p.store.Cells.Swap(ctx, key, tag, []byte{i})
		return err
	}
	return race("cell", ErrConflict, write, func() ([]byte, error) {
		got, _, err := p.store.Cells.Load(ctx, key)
		return got, err
	})
}

func (p *probe) staleSwap(ctx context.Context) error {
	cells := p.store.Cells
	key := p.cell("stale")
	first, err := cells.Swap(ctx, key, "", []byte("first"))
	if err != nil {
		return err
	}
	if _, err := cells.Swap(ctx, key, first, []byte("second")); err != nil {
		return err
	}
	for _, stale := range []struct{ key, tag, what string }{
		{key, first, "a write that expects an old value goes through"},
		{key, "", "a write that expects nothing goes through where there is something"},
		{p.cell("missing"), first, "a write that expects a value goes through where there is none"},
	} {
		_, err := cells.Swap(ctx, stale.key, stale.tag, []byte("stale"))
		if err == nil {
			return broken("%s", stale.what)
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
	got, _, err := cells.Load(ctx, key)
	if err == nil && string(got) != "second" {
		return broken("a cell just written reads as before")
	}
	return err
}

// order writes keys whose order by folders is not the order by bytes.
func (p *probe) order(ctx context.Context) error {
	var want []string
	for _, name := range []string{"o/a-b", "o/a/b", "o/a0"} {
		key := p.file(name)
		if err := p.store.Files.Create(ctx, key, []byte(name)); err != nil {
			return err
		}
		want = append(want, key)
	}
	var got []string
	for key, err := range p.store.Files.List(ctx, strings.TrimSuffix(want[0], "a-b"), "") {
		if err != nil {
			return err
		}
		got = append(got, key)
	}
	if !slices.Equal(got, want) {
		return broken("a listing is incomplete or not in order")
	}
	return nil
}

// remover is a port that can take back what the probe wrote.
type remover interface {
	remove(ctx context.Context, key string) error
}

// cleanUp removes the probe's keys where the store can. What stays is small
// and harmless.
func (p *probe) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout/6)
	defer cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	remove := func(port any, keys []string) {
		r, ok := port.(remover)
		if !ok {
			return
		}
		_ = each(ctx, len(keys), func(ctx context.Context, i int) error {
			_ = r.remove(ctx, keys[i])
			return nil
		})
	}
	remove(p.store.Files, p.files)
	remove(p.store.Cells, p.cells)
}
