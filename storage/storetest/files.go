package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"airlock/storage"
)

func filesCreate(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	for i, value := range [][]byte{{}, []byte("x"), Random(3, 300<<10)} {
		key := fmt.Sprintf("e1/tile/%d/x000/001", i)
		_, err := s.Files.Get(ctx, key)
		wantErr(t, "get before", err, fs.ErrNotExist)
		given := bytes.Clone(value)
		for range 2 {
			if err := s.Files.Create(ctx, key, given); err != nil {
				t.Fatalf("create: %v", err)
			}
		}
		if len(given) > 0 {
			given[0] ^= 1 // the store must hold a copy
		}
		wantErr(t, "other bytes", s.Files.Create(ctx, key, append(given, 0)), storage.ErrExists)
		got, err := s.Files.Get(ctx, key)
		if err != nil || !bytes.Equal(got, value) {
			t.Errorf("got %d bytes, %v, want %d", len(got), err, len(value))
		}
	}
	_, err := s.Files.Get(ctx, "e1/tile")
	wantErr(t, "get of a folder", err, fs.ErrNotExist)
	_, err = s.Files.Get(ctx, "e1/tile/0/x000/001/deeper")
	wantErr(t, "get below a file", err, fs.ErrNotExist)
	_, _, err = s.Cells.Load(ctx, "e1/tile/0/x000/001")
	wantErr(t, "file read as cell", err, fs.ErrNotExist)
}

// BadKeys are keys that every store refuses with *storage.KeyError.
var BadKeys = []string{
	"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "A", "ä", "a b", "a\x00b", "a\\b", "a:b", "a+b",
	"\xff", strings.Repeat("a", 256), strings.Repeat("a/", 256) + "a",
}

func filesKeys(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	for _, key := range BadKeys {
		_, err := s.Files.Get(ctx, key)
		wantErrAs[*storage.KeyError](t, fmt.Sprintf("get %q", key), err)
		wantErrAs[*storage.KeyError](t, fmt.Sprintf("create %q", key), s.Files.Create(ctx, key, nil))
		_, _, err = s.Cells.Load(ctx, key)
		wantErrAs[*storage.KeyError](t, fmt.Sprintf("load %q", key), err)
		_, err = s.Cells.Swap(ctx, key, "", nil)
		wantErrAs[*storage.KeyError](t, fmt.Sprintf("swap %q", key), err)
	}
	for _, prefix := range []string{"/", "../", "A", "a//"} {
		var got error
		for _, err := range s.Files.List(ctx, prefix, "") {
			got = err
		}
		wantErrAs[*storage.KeyError](t, fmt.Sprintf("list %q", prefix), got)
	}
	long := strings.Repeat("a", 200)
	for _, key := range []string{"a", ".a", "a.", "-", "_", "0", "...", long + "/" + long} {
		if err := s.Files.Create(ctx, key, []byte(key)); err != nil {
			t.Errorf("create %q: %v", key, err)
		}
	}
	if err := s.Files.Create(ctx, "big", make([]byte, storage.MaxFile+1)); err == nil {
		t.Error("a file over MaxFile was taken")
	}
}

func filesList(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	// "-" and "." sort before "/", "0" after it: an order by folders differs.
	keys := []string{
		"a/a", "a/b/c", "a/b/d", "a/b-c", "a/b.c", "a/b0", "a/c", "a-b/c", "a0", "b/x000/001", "b/x001/000", "b/x001/255",
	}
	for _, key := range keys {
		if err := s.Files.Create(ctx, key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(keys)
	prefixes := []string{"", "a", "a/", "a/b", "a/b/", "a/b/c", "b/x00", "c", "c/d/"}
	afters := append([]string{"", "a/b", "a/b/", "a/b/zz", "zz", "0"}, keys...)
	for _, prefix := range prefixes {
		for _, after := range afters {
			var want []string
			for _, key := range keys {
				if strings.HasPrefix(key, prefix) && key > after {
					want = append(want, key)
				}
			}
			if got := list(t, s, prefix, after); !slices.Equal(got, want) {
				t.Errorf("prefix %q after %q: got %q, want %q", prefix, after, got, want)
			}
		}
	}
	for key := range s.Files.List(ctx, "a", "") { // may be left early
		if key != keys[0] {
			t.Errorf("first key %q, want %q", key, keys[0])
		}
		break
	}
}

func list(t *testing.T, s *storage.Store, prefix, after string) []string {
	t.Helper()
	var got []string
	for key, err := range s.Files.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("list %q after %q: %v", prefix, after, err)
		}
		got = append(got, key)
	}
	return got
}

func filesRace(t *testing.T, s *storage.Store) {
	for round := range 5 {
		key := fmt.Sprintf("race/%d", round)
		var winner atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				err := s.Files.Create(t.Context(), key, []byte{byte(i)})
				switch {
				case err == nil:
					if !winner.CompareAndSwap(0, int32(i)+1) {
						t.Errorf("two winners of %s", key)
					}
				case !errors.Is(err, storage.ErrExists):
					t.Errorf("create: %v", err)
				}
			})
		}
		wg.Wait()
		got, err := s.Files.Get(t.Context(), key)
		if err != nil || len(got) != 1 || int32(got[0])+1 != winner.Load() {
			t.Errorf("holds %v, %v; winner %d", got, err, winner.Load()-1)
		}
	}
}
