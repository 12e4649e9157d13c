package storetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"sync"
	"testing"

	"airlock/storage"
)

func swap(t *testing.T, s *storage.Store, key, tag string, value []byte) string {
	t.Helper()
	got, err := s.Cells.Swap(t.Context(), key, tag, value)
	if err != nil {
		t.Fatalf("swap %q: %v", key, err)
	}
	wantCell(t, s, key, got, value)
	return got
}

func wantCell(t *testing.T, s *storage.Store, key, tag string, value []byte) {
	t.Helper()
	got, gotTag, err := s.Cells.Load(t.Context(), key)
	if err != nil || gotTag != tag || !bytes.Equal(got, value) {
		t.Fatalf("cell %q: got %d bytes, tag %q, %v; want %d, %q", key, len(got), gotTag, err, len(value), tag)
	}
}

func cellsSwap(t *testing.T, s *storage.Store) {
	ctx := t.Context()
	_, _, err := s.Cells.Load(ctx, "heads/a")
	wantErr(t, "load before", err, fs.ErrNotExist)
	_, err = s.Cells.Swap(ctx, "heads/a", "0123456789abcdef0123456789abcdef", nil)
	wantErr(t, "tag for a cell that is not there", err, storage.ErrConflict)
	_, _, err = s.Cells.Load(ctx, "heads/a")
	wantErr(t, "load after a refused swap", err, fs.ErrNotExist)

	first := swap(t, s, "heads/a", "", []byte("one"))
	_, err = s.Cells.Swap(ctx, "heads/a", "", []byte("two"))
	wantErr(t, "creating twice", err, storage.ErrConflict)
	second := swap(t, s, "heads/a", first, Random(5, 70<<10))
	_, err = s.Cells.Swap(ctx, "heads/a", first, []byte("stale"))
	wantErr(t, "stale tag", err, storage.ErrConflict)
	wantCell(t, s, "heads/a", second, Random(5, 70<<10))
	swap(t, s, "heads/a", second, nil)

	other := swap(t, s, "heads/b", "", []byte("one"))
	_, err = s.Cells.Swap(ctx, "heads/b", first, nil)
	wantErr(t, "tag of another cell", err, storage.ErrConflict)
	wantCell(t, s, "heads/b", other, []byte("one"))
	_, err = s.Files.Get(ctx, "heads/a")
	wantErr(t, "cell read as file", err, fs.ErrNotExist)
	if _, err = s.Cells.Swap(ctx, "big", "", make([]byte, storage.MaxFile+1)); err == nil {
		t.Error("a value over MaxFile was taken")
	}
}

func cellsTags(t *testing.T, s *storage.Store) {
	seen := map[string]bool{}
	tag := ""
	for i := range 20 {
		tag = swap(t, s, "a", tag, []byte{byte(i % 2)}) // values come back, tags must not
		if tag == "" || seen[tag] {
			t.Fatalf("tag %q of swap %d was there before", tag, i)
		}
		seen[tag] = true
	}
}

func cellsCopies(t *testing.T, s *storage.Store) {
	value := []byte("value")
	tag, err := s.Cells.Swap(t.Context(), "a", "", value)
	if err != nil {
		t.Fatal(err)
	}
	value[0] = 'X'
	got, _, err := s.Cells.Load(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	got[0] = 'Y'
	wantCell(t, s, "a", tag, []byte("value"))
}

// cellsCounter has 8 writers count; every success must be in the final sum.
func cellsCounter(t *testing.T, s *storage.Store) {
	const writers, each = 8, 10
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if err := increment(t, s, "counter"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	got, _, err := s.Cells.Load(t.Context(), "counter")
	if err != nil || len(got) != 8 || binary.BigEndian.Uint64(got) != writers*each {
		t.Errorf("counted %v, %v, want %d", got, err, writers*each)
	}
}

func increment(t *testing.T, s *storage.Store, key string) error {
	for {
		value, tag, err := s.Cells.Load(t.Context(), key)
		if errors.Is(err, fs.ErrNotExist) {
			value, err = make([]byte, 8), nil
		}
		if err != nil {
			return err
		}
		binary.BigEndian.PutUint64(value, binary.BigEndian.Uint64(value)+1)
		_, err = s.Cells.Swap(t.Context(), key, tag, value)
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
	}
}
