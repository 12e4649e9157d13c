package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"airlock/feed"
	"airlock/storage"
)

// shelf is a source with one object.
type shelf struct{ object []byte }

func (s shelf) Pack(context.Context, feed.ID, int64, int64) (*feed.Pack, error) {
	p := feed.NewPack()
	p.Add(storage.DigestOf(s.object[:60<<10]), s.object[:60<<10])
	return p, nil
}

func (s shelf) Object(context.Context, feed.ID, storage.Digest, int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s.object)), nil
}

// TestPace: what comes takes as long as it may, over all that is fetched; the first
// second's worth is free.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Paced{From: shelf{make([]byte, 1<<20)}, Pace: NewPace(64 << 10)}
		began := time.Now()
		r, err := p.Object(t.Context(), feed.ID{}, storage.Digest{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); n != 1<<20 || err != nil {
			t.Fatal(n, err)
		}
		if got := time.Since(began); got != 15*time.Second {
			t.Errorf("1 MiB at 64 KiB/s took %s, want 15s", got)
		}
		began = time.Now()
		for range 4 {
			if _, err := p.Pack(t.Context(), feed.ID{}, 0, 1); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(began); got < 3500*time.Millisecond || got > 4*time.Second {
			t.Errorf("four packs of 60 KiB took %s", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err = p.Object(ctx, feed.ID{}, storage.Digest{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an end is not heeded: %v", err)
		}
	})
}
