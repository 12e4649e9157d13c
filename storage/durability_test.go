package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The proof of the directory store's durability. A power cut is tried after
// every single step of every scenario, on a disk that forgets all that was not
// synced; what had been acknowledged must be there, whole, and what had not
// must be there whole or not at all. Killing a process alone would prove
// nothing: the page cache outlives it.

const crashRoot = "/srv/feeds/store"

// scenario does one thing after another until an error, which is always the
// power cut.
type scenario struct {
	name  string
	setup func(d *crashDisk) error // by somebody else in an existing store, nothing synced
	run   func(a *actor) error
	then  func(a *actor) error // by a process after a killed one; nil for the same

	// tried are the disks that were found with the same promises before: most steps
	// only read, so that a cut after them leaves what the one before left.
	tried map[Digest]bool
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
	crashHuge  = bytes.Repeat([]byte("in chunks "), 20)
	crashSmall = [][]byte{[]byte("one"), []byte("two"), {}, []byte("four")}
)

var scenarios = []scenario{
	{name: "large object, twice", run: steps(
		func(a *actor) error { return a.put(crashBig) },
		func(a *actor) error { return a.put(crashBig) },
	)},
	{name: "payload in chunks, twice", run: steps(
		func(a *actor) error { return a.put(crashHuge) },
		func(a *actor) error { return a.put(crashHuge) },
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
	found := DigestOf(slices.Concat(d.root.sum(false), noted.sum()))
	if sc.tried[found] {
		return nil
	}
	sc.tried[found] = true
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
	sc.tried = map[Digest]bool{}
	return sc.cuts(ctx, func() (*crashDisk, *promises, error) { return sc.fresh(ctx, skip) }, 6)
}

func cutsAfterKill(ctx context.Context, sc scenario, skip syncPoint) error {
	sc.tried = map[Digest]bool{}
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
