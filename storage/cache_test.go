package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"airlock/storage"
	"airlock/storage/storetest"
)

func TestCached(t *testing.T) {
	storetest.Run(t, func(*testing.T) *storage.Store {
		s := storage.NewMem()
		cache := storage.NewCache(1 << 20)
		inner := s.Objects
		s.Objects = func(space string) storage.Objects { return cache.Objects(space, inner(space)) }
		return s
	})
}

// Each object is fetched once, not at all where it was put, and no Space sees
// another's through the cache.
func TestCacheObjects(t *testing.T) {
	gets := 0
	s := storetest.WithFaults(storage.NewMem(), func(c storetest.Call) storetest.Fault {
		if c.Op == "Get" {
			gets++
		}
		return storetest.Fault{}
	})
	cache := storage.NewCache(8 << 20)
	mine, theirs := cache.Objects("acme/a", s.Objects("acme/a")), cache.Objects("acme/b", s.Objects("acme/b"))
	for _, test := range []struct {
		size         int
		put, forgets int // how often it is fetched for three readers after each
	}{{10, 0, 1}, {1 << 20, 0, 1}, {1<<20 + 1, 4, 3}} {
		data := storetest.Random(uint64(test.size), test.size)
		ref := storage.RefOf(data)
		read := func(want int) {
			t.Helper()
			gets = 0
			for range 3 {
				body, err := mine.Get(t.Context(), ref.Digest, 0)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, data) {
					t.Errorf("got %d bytes, %v", len(got), err)
				}
				_ = body.Close()
			}
			if gets != want {
				t.Errorf("object of %d bytes fetched %d times, want %d", test.size, gets, want)
			}
		}
		if err := mine.Put(t.Context(), ref, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		read(test.put)
		if _, err := theirs.Get(t.Context(), ref.Digest, 0); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("another Space: %v", err)
		}
		cache.Forget("acme/a", ref.Digest)
		read(test.forgets)
	}
}

// TestCachePut: what is not the object that it is said to be is not kept, nor what
// the store did not take.
func TestCachePut(t *testing.T) {
	full := false
	s := storetest.WithFaults(storage.NewMem(), func(c storetest.Call) (f storetest.Fault) {
		if full && c.Op == "Put" {
			f.Before = storage.ErrNoSpace
		}
		return f
	})
	cache := storage.NewCache(8 << 20)
	o := cache.Objects("acme/a", s.Objects("acme/a"))
	ref := storage.RefOf([]byte("right"))
	if err := o.Put(t.Context(), ref, strings.NewReader("wrong")); err == nil {
		t.Error("other bytes were taken")
	}
	full = true
	if err := o.Put(t.Context(), ref, strings.NewReader("right")); !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("got %v", err)
	}
	if _, err := o.Get(t.Context(), ref.Digest, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was not put: %v", err)
	}
}

func TestCacheFailedFill(t *testing.T) {
	cache := storage.NewCache(1 << 20)
	failure := errors.New("store is away")
	if _, err := cache.Bytes(t.Context(), "acme/a", "k", func(context.Context) ([]byte, error) { return []byte("half"), failure }); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	got, err := cache.Bytes(t.Context(), "acme/a", "k", func(context.Context) ([]byte, error) { return []byte("whole"), nil })
	if err != nil || string(got) != "whole" {
		t.Errorf("got %q, %v", got, err)
	}
}

// Whatever is asked for, the cache stays within its bytes and never gives one
// thing for another.
func TestCacheBounded(t *testing.T) {
	const room = 10_000
	rapid.Check(t, func(t *rapid.T) {
		cache := storage.NewCache(room)
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 60), 1, 300).Draw(t, "asked") {
			want := bytes.Repeat([]byte{byte(n)}, n*200)
			got, err := cache.Bytes(context.Background(), fmt.Sprint("acme/", n%3), fmt.Sprint(n), func(context.Context) ([]byte, error) { return want, nil })
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("asked for %d, got %d bytes, %v", n, len(got), err)
			}
			if s := cache.Stats(); s.Bytes > room || s.Bytes < 0 || s.Entries > room/384 || s.Entries < 0 {
				t.Fatalf("holds %+v, room for %d bytes", s, room)
			}
		}
	})
}

// One who reads everything once does not push out what is asked for often.
func TestCacheScan(t *testing.T) {
	cache := storage.NewCache(100 * 1384)
	get := func(key string) {
		value := make([]byte, 1000)
		if _, err := cache.Bytes(t.Context(), "acme/a", key, func(context.Context) ([]byte, error) { return value, nil }); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for i := range 50 {
			get(fmt.Sprint("often ", i))
		}
	}
	for i := range 10_000 {
		get(fmt.Sprint("once ", i))
	}
	before := cache.Stats().Hits
	for i := range 50 {
		get(fmt.Sprint("often ", i))
	}
	if hits := cache.Stats().Hits - before; hits != 50 {
		t.Errorf("%d of 50 are still there", hits)
	}
}

func BenchmarkCacheHit(b *testing.B) {
	cache := storage.NewCache(1 << 20)
	s := storage.NewMem()
	data := storetest.Random(1, 2<<10)
	ref := storage.RefOf(data)
	o := cache.Objects("acme/a", s.Objects("acme/a"))
	if err := o.Put(b.Context(), ref, bytes.NewReader(data)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		body, err := o.Get(b.Context(), ref.Digest, 0)
		if err != nil {
			b.Fatal(err)
		}
		_ = body.Close()
	}
}

// One Space that reads all that it has, again and again, leaves half to others, and
// has all of it where nobody else wants any.
func TestCacheShare(t *testing.T) {
	cache := storage.NewCache(100 * 1384)
	get := func(space string, n int) {
		for i := range n {
			if _, err := cache.Bytes(t.Context(), space, fmt.Sprint(i), func(context.Context) ([]byte, error) { return make([]byte, 1000), nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	hits := func(space string, n int) int64 {
		before := cache.Stats().Hits
		get(space, n)
		return cache.Stats().Hits - before
	}
	get("acme/big", 100)
	if got := hits("acme/big", 100); got != 100 {
		t.Errorf("alone: %d of 100 are there", got)
	}
	for _, space := range []string{"acme/a", "acme/b"} {
		get(space, 20)
	}
	for range 5 {
		get("acme/big", 200)
	}
	for _, space := range []string{"acme/a", "acme/b"} {
		if got := hits(space, 20); got != 20 {
			t.Errorf("%s: %d of 20 are still there", space, got)
		}
	}
}
