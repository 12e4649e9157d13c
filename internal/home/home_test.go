package home

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"
)

func open(t *testing.T, path string) *Home {
	t.Helper()
	h, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func newSpace(p *signing.Passphrase) NewSpace {
	return NewSpace{Space: trust.Space{Organisation: "acme", Name: "dev-qa"}, Issuer: trusttest.Issuer, Person: "alice",
		Passphrase: p, Now: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)}
}

func TestInit(t *testing.T) {
	ctx := context.Background()
	h := open(t, filepath.Join(t.TempDir(), "home"))
	if _, err := h.Identity(); !errors.Is(err, ErrNoSpace) {
		t.Errorf("a new home: %v", err)
	}
	history, err := h.Init(ctx, newSpace(nil))
	if err != nil {
		t.Fatal(err)
	}
	before := keys(t, h)
	if len(before) != 5 {
		t.Errorf("keys: %d, want 5", len(before))
	}
	if _, err := h.Init(ctx, newSpace(nil)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second Init: %v", err)
	}
	// Even without its identity, keys are never overwritten.
	if err := os.Remove(h.file("space.id")); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, h.path).Init(ctx, newSpace(nil))
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), rootKey) {
		t.Errorf("Init over keys: %v, want the file named", err)
	}
	for name, content := range keys(t, h) {
		if before[name] != content {
			t.Errorf("%s was changed", name)
		}
	}
	if history.Current().Version != 1 {
		t.Errorf("identity version %d", history.Current().Version)
	}
}

// A home whose keys were taken to a safe place still holds its Space: a second
// Init makes no new keys there.
func TestInitKeysAway(t *testing.T) {
	ctx := context.Background()
	h := open(t, t.TempDir())
	if _, err := h.Init(ctx, newSpace(nil)); err != nil {
		t.Fatal(err)
	}
	for name := range keys(t, h) {
		if err := os.Remove(h.file("keys", name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Init(ctx, newSpace(nil)); !errors.Is(err, fs.ErrExist) || len(keys(t, h)) != 0 {
		t.Errorf("a second Init: %v, %d keys", err, len(keys(t, h)))
	}
}

// A file that is longer than it can be is not read further.
func TestReadFileBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("1234"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadFile(path, 4); err != nil || string(b) != "1234" {
		t.Errorf("at the bound: %q, %v", b, err)
	}
	if b, err := ReadFile(path, 3); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("past the bound: %q, %v", b, err)
	}
}

// What a home believes of its own Space says nothing about others, and a policy
// is about the Space that its file is named after.
func TestViewOfOthers(t *testing.T) {
	h := open(t, t.TempDir())
	if _, err := h.Init(context.Background(), newSpace(nil)); err != nil {
		t.Fatal(err)
	}
	other := trusttest.New(t, "acme/other")
	if _, err := h.View(other.Name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a Space that nobody trusted: %v", err)
	}
	if err := h.AddTrust(other.History(), trust.NewPolicy(other.Name, other.Lineage())); err != nil {
		t.Fatal(err)
	}
	third := trust.Space{Organisation: "acme", Name: "third"}
	for _, suffix := range []string{".yaml", ".id"} {
		b, err := os.ReadFile(h.trustFile(other.Name, suffix))
		if err == nil {
			err = os.WriteFile(h.trustFile(third, suffix), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.View(third); err == nil || !strings.Contains(err.Error(), "is about acme/other") {
		t.Errorf("a policy under another name: %v", err)
	}
	fourth := trusttest.New(t, "acme/fourth")
	if err := h.AddTrust(fourth.History(), trust.NewPolicy(other.Name, fourth.Lineage())); err == nil {
		t.Error("a policy about another Space was taken")
	}
}

// keys reads the key files, which nobody else may.
func keys(t *testing.T, h *Home) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(h.file("keys"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
		b, err := os.ReadFile(h.file("keys", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(b)
	}
	return out
}

func TestPassphrase(t *testing.T) {
	h := open(t, t.TempDir())
	if _, err := h.Init(context.Background(), newSpace(&signing.Passphrase{Text: "open sesame", LogN: 10})); err != nil {
		t.Fatal(err)
	}
	for name, content := range keys(t, h) {
		encrypted := strings.Contains(content, "AGE ENCRYPTED FILE") && !strings.Contains(content, "PRIVATE KEY")
		if encrypted == (name == tlsKey) { // who connects is no person
			t.Errorf("%s is encrypted: %v", name, encrypted)
		}
	}
	if _, err := h.Publisher(func() (string, error) { return "open sesame", nil }); err != nil {
		t.Error(err)
	}
	_, err := h.Publisher(func() (string, error) { return "wrong guess", nil })
	if !errors.Is(err, signing.ErrPassphrase) || strings.Contains(err.Error(), "guess") {
		t.Errorf("wrong passphrase: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		ok    bool
	}{
		"nothing":                  {nil, true},
		"something else":           {map[string]string{"letter.txt": "Dear"}, false},
		"another format":           {map[string]string{"format": "airlock-home 2\n"}, false},
		"half made":                {map[string]string{"keys/": "", ".new-1": "airl"}, true},
		"keys without a format":    {map[string]string{"keys/root-1.key": "x"}, false},
		"a log key":                {map[string]string{"keys/log.key": "x"}, true},
		"a log key and others":     {map[string]string{"keys/log.key": "x", "keys/root-1.key": "x"}, false},
		"a folder of another name": {map[string]string{"photos/": ""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range c.files {
				p := filepath.Join(dir, file)
				if strings.HasSuffix(file, "/") {
					p = filepath.Join(p, "x")
				}
				if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
					t.Fatal(err)
				}
				if content != "" && os.WriteFile(p, []byte(content), 0o600) != nil {
					t.Fatal("not written")
				}
			}
			_, err := Open(dir)
			if as := new(storage.FormatError); (err == nil) != c.ok || err != nil && !errors.As(err, &as) {
				t.Errorf("got %v, want it opened: %v", err, c.ok)
			}
			if _, again := Open(dir); (again == nil) != c.ok {
				t.Errorf("the second time: %v", again)
			}
		})
	}
}

func TestTrust(t *testing.T) {
	h := open(t, t.TempDir())
	s := trusttest.New(t, "acme/dev-qa")
	policy := trust.NewPolicy(s.Name, s.Lineage())
	twin := trusttest.New(t, "acme/dev-qa")
	if err := h.AddTrust(twin.History(), policy); err == nil {
		t.Error("a policy about another lineage was taken")
	}
	if err := h.AddTrust(s.History(), policy); err != nil {
		t.Fatal(err)
	}
	if err := h.AddTrust(s.History(), policy); !errors.Is(err, fs.ErrExist) {
		t.Errorf("trusted twice: %v", err)
	}
	if err := h.AddTrust(twin.History(), trust.NewPolicy(twin.Name, twin.Lineage())); !errors.Is(err, fs.ErrExist) {
		t.Errorf("another lineage under a name that is trusted: %v", err)
	}
	if v, err := h.View(s.Name); err != nil || v.History().Lineage() != s.Lineage() {
		t.Errorf("trusted after that: %v", err)
	}
	fork := *s
	s.Next(func(*trust.Identity) {})
	if err := h.Learn(s.History()); err != nil {
		t.Fatal(err)
	}
	if err := h.Learn(s.HistoryAt(1)); err != nil {
		t.Fatal(err)
	}
	fork.Next(func(id *trust.Identity) { fork.Drop(id, fork.Approver) })
	fork.Next(func(*trust.Identity) {})
	if err := h.Learn(fork.History()); !errors.Is(err, trust.ErrUntrusted) {
		t.Errorf("a forked identity: %v", err)
	}
	if err := h.Learn(twin.History()); err != nil {
		t.Fatal(err)
	}
	all, err := open(t, h.path).AllTrusted()
	if err != nil || len(all) != 1 || all[0].History.Current().Version != 2 || all[0].History.Lineage() != s.Lineage() {
		t.Fatalf("trusted: %+v, %v", all, err)
	}
	if err := h.RemoveTrust(s.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := h.View(s.Name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after removal: %v", err)
	}
	if err := h.RemoveTrust(s.Name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
}

// Whoever comes first makes the log key; all others get that one.
func TestLogKeyRace(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	var wg sync.WaitGroup
	var mu sync.Mutex
	made, publics := 0, map[string]bool{}
	for range 8 {
		h := open(t, dir)
		wg.Go(func() {
			key, created, err := h.EnsureLogKey()
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			publics[string(key.Public())] = true
			if created {
				made++
			}
		})
	}
	wg.Wait()
	if made != 1 || len(publics) != 1 {
		t.Errorf("%d made a key, there are %d", made, len(publics))
	}
	if len(keys(t, open(t, dir))) != 1 {
		t.Error("more than the key is left in keys/")
	}
}

func TestLogKeyDamaged(t *testing.T) {
	h := open(t, t.TempDir())
	for _, content := range []string{"", "airlock log key 2\nAAAA\n", strings.Repeat("A", 43) + "=\n", logKeyHeader + "c2VjcmV0\n", logKeyHeader + "%%%\n"} {
		if err := os.WriteFile(h.file("keys", "log.key"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, created, err := h.EnsureLogKey(); err == nil || created || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%q: created %v, %v", content, created, err)
		}
	}
}

var floorFeed = feed.ID{Space: trust.Space{Organisation: "acme", Name: "dev-qa"}, Name: "shared"}

func newFloor(t *testing.T, h *Home) *Floor {
	t.Helper()
	f, err := h.NewFloor(context.Background(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func wantFloor(t *testing.T, h *Home, epoch uint64, size int64) {
	t.Helper()
	if e, s, root := newFloor(t, h).Lowest(floorFeed); e != epoch || s != size || root != (tlog.Hash{byte(size)}) {
		t.Errorf("floor: epoch %d, %d entries, root %x; want %d, %d", e, s, root[:1], epoch, size)
	}
}

// The floor outlives the process, and never falls: not by a lower head, nor by
// another process that knows less.
func TestFloor(t *testing.T) {
	h := open(t, t.TempDir())
	first, second := newFloor(t, h), newFloor(t, open(t, h.path))
	second.Lowest(floorFeed) // both begin with nothing
	raise := func(f *Floor, epoch uint64, size int64) { f.Raise(floorFeed, epoch, size, tlog.Hash{byte(size)}) }
	raise(first, 1, 100)
	raise(first, 1, 7)
	first.Close()
	wantFloor(t, h, 1, 100)
	raise(second, 1, 50)
	second.Close()
	wantFloor(t, h, 1, 100)
	third, fourth := newFloor(t, h), newFloor(t, h)
	third.Lowest(floorFeed)
	raise(fourth, 1, 120)
	fourth.Close()
	raise(third, 1, 130)
	third.Close()
	wantFloor(t, h, 1, 130)
	raise(third, 1, 140) // too late to be written, and harmless
	last := newFloor(t, h)
	raise(last, 2, 3)
	last.Close()
	wantFloor(t, h, 2, 3)
}

// A store that was put back is noticed after a restart.
func TestStorePutBack(t *testing.T) {
	ctx := context.Background()
	h := open(t, t.TempDir())
	w := feedtest.New(t, storage.NewMem())
	serve := func(store *storage.Store, statements ...feedtest.Signed) error {
		f := newFloor(t, h)
		logs := log.New(log.Config{Store: store, Key: w.Key, Floor: f})
		_, err := feedtest.Append(ctx, store, logs.Feed(w.ID), w.ID, statements...)
		err = errors.Join(err, logs.Close())
		f.Close()
		return err
	}
	a, b, c := w.Author.Publish("file/a@1"), w.Author.Publish("file/b@1"), w.Author.Publish("file/c@1")
	if err := serve(w.Store, a, b); err != nil {
		t.Fatal(err)
	}
	old := storage.NewMem()
	opening := w.Opening()
	if err := serve(old, append(opening, c)...); !errors.Is(err, log.ErrWentBack) {
		t.Errorf("an older store: %v", err)
	}
	if err := serve(w.Store, c); err != nil {
		t.Error(err)
	}
}

func TestFollowed(t *testing.T) {
	h := open(t, t.TempDir())
	lineage := trusttest.New(t, "acme/dev-qa").Lineage()
	if names, err := h.Followed(lineage); err != nil || len(names) != 0 {
		t.Errorf("at first: %v, %v", names, err)
	}
	for _, name := range []string{"shared", "receipts", "shared"} {
		if err := h.NoteFollowed(lineage, feed.ID{Space: floorFeed.Space, Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(h.file("feeds", lineage.String()[len("sha256:"):], storage.TempPrefix+"1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if names, err := h.Followed(lineage); err != nil || !slices.Equal(names, []string{"receipts", "shared"}) {
		t.Errorf("followed: %v, %v", names, err)
	}
}
