package storage_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"airlock/storage"
	"airlock/storage/storetest"
)

// backwards lists in the wrong order.
type backwards struct{ storage.Files }

func (b backwards) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var keys []string
		for key := range b.Files.List(ctx, prefix, after) {
			keys = append([]string{key}, keys...)
		}
		for _, key := range keys {
			if !yield(key, nil) {
				return
			}
		}
	}
}

// careless replaces whatever is in a cell.
type careless struct{ storage.Cells }

func (c careless) Swap(ctx context.Context, key, _ string, value []byte) (string, error) {
	_, tag, _ := c.Load(ctx, key)
	return c.Cells.Swap(ctx, key, tag, value)
}

// racing looks at the tag first and writes later, as a store without
// conditional writes does. Of those that race, all have looked before one writes.
type racing struct {
	storage.Cells
	looked *sync.WaitGroup
}

func (r racing) Swap(ctx context.Context, key, tag string, value []byte) (string, error) {
	if _, now, _ := r.Load(ctx, key); now != tag {
		return "", storage.ErrConflict
	}
	if strings.HasSuffix(key, "/race") && tag != "" {
		r.looked.Done()
		r.looked.Wait()
	}
	for {
		_, now, _ := r.Load(ctx, key)
		if got, err := r.Cells.Swap(ctx, key, now, value); !errors.Is(err, storage.ErrConflict) {
			return got, err
		}
	}
}

// silent answers none of those that race first, and does nothing for them.
type silent struct{ storage.Cells }

func (s silent) Swap(ctx context.Context, key, tag string, value []byte) (string, error) {
	if strings.HasSuffix(key, "/0/race") && tag != "" {
		return "", storage.ErrUnclear
	}
	return s.Cells.Swap(ctx, key, tag, value)
}

func TestProbe(t *testing.T) {
	unordered, blind, late, mute := storage.NewMem(), storage.NewMem(), storage.NewMem(), storage.NewMem()
	mute.Cells = silent{mute.Cells}
	looked := &sync.WaitGroup{}
	looked.Add(8) // the writers of a race
	late.Cells = racing{late.Cells, looked}
	unordered.Files = backwards{unordered.Files}
	blind.Cells = careless{blind.Cells}
	away := storetest.WithFaults(storage.NewMem(), storetest.Share(1, 1, storetest.Fault{Before: storetest.ErrServer}))
	var since time.Time
	briefly := storetest.WithFaults(storage.NewMem(), func(storetest.Call) storetest.Fault {
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < time.Second {
			return storetest.Fault{Before: storetest.ErrServer}
		}
		return storetest.Fault{}
	})
	for _, test := range []struct {
		name  string
		store *storage.Store
		want  string
	}{
		{"memory", storage.NewMem(), ""},
		{"folder", openDir(t, t.TempDir()), ""},
		{"wrong order", unordered, "order"},
		{"no conditions", blind, "goes through"},
		{"conditions looked at too early", late, "8 went through"},
		{"store away", away, "could not be tried"},
		{"store away for a moment", briefly, ""},
		{"store away for a race", mute, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // some wait for the store
			got, untried := storage.Probe(t.Context(), test.store)
			if test.store == away {
				got, untried = untried, got
			}
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) || untried != "" {
				t.Errorf("%q and %q, want %q", got, untried, test.want)
			}
		})
	}
}

// zeros are endless.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Memory does not grow with the payload: 64 MiB go through, 4 MiB are allocated.
func TestDirPutMemory(t *testing.T) {
	const size = 64 << 20
	ref := storage.Ref{Digest: storage.DigestOf(make([]byte, size)), Size: size}
	o := openDir(t, t.TempDir()).Objects("acme/dev")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := o.Put(t.Context(), ref, io.LimitReader(zeros{}, size)); err != nil {
		t.Fatal(err)
	}
	body, err := o.Get(t.Context(), ref.Digest, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if n, err := io.Copy(io.Discard, body); n != size || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("allocated %d bytes", got)
	}
}
