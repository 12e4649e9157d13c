// Package storetest holds what every store must pass, and the means to make a
// store fail: faults in the process (WithFaults), a proxy that loses answers
// (LossyProxy), and real S3 servers (VersityGW, MinIO).
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"airlock/storage"
)

// Run checks that the stores which open returns keep the contracts of Objects,
// Files and Cells. open is called once for each test and returns an empty
// store; Run closes it.
func Run(t *testing.T, open func(t *testing.T) *storage.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *storage.Store)
	}{
		{"objects/whole and from offsets", objectsGet},
		{"objects/text", objectsText},
		{"objects/wrong bytes", objectsWrong},
		{"objects/again", objectsAgain},
		{"objects/spaces are apart", objectsSpaces},
		{"objects/batch", objectsBatch},
		{"objects/at once", objectsAtOnce},
		{"files/create once", filesCreate},
		{"files/keys", filesKeys},
		{"files/list", filesList},
		{"files/race", filesRace},
		{"cells/swap", cellsSwap},
		{"cells/tags", cellsTags},
		{"cells/copies", cellsCopies},
		{"cells/counter", cellsCounter},
		{"canceled", canceled},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("closing: %v", err)
				}
			})
			test.run(t, s)
		})
	}
}

// Random returns n bytes that depend on nothing but seed.
func Random(seed uint64, n int) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

// Text returns n bytes that zstd makes much smaller, and that depend on nothing
// but seed.
func Text(seed uint64, n int) []byte {
	words := Random(seed, n/8+1)
	b := make([]byte, 0, n+8)
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, "%d %s\n", words[i%len(words)], "entry of a feed"[:words[(i+1)%len(words)]%15])
	}
	return b[:n]
}

const space = "acme/dev-qa"

func put(t *testing.T, o storage.Objects, data []byte) storage.Ref {
	t.Helper()
	ref := storage.RefOf(data)
	if err := o.Put(t.Context(), ref, bytes.NewReader(data)); err != nil {
		t.Fatalf("put: %v", err)
	}
	return ref
}

func wantObject(t *testing.T, o storage.Objects, want []byte) {
	t.Helper()
	body, err := o.Get(t.Context(), storage.DigestOf(want), 0)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes, %v; want the %d put", len(got), err, len(want))
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want one matching %v", what, err, want)
	}
}

func wantErrAs[E error](t *testing.T, what string, err error) {
	t.Helper()
	var want E
	if !errors.As(err, &want) {
		t.Errorf("%s: got error %v, want a %T", what, err, want)
	}
}

// canceled checks that no operation goes on once its context has ended.
func canceled(t *testing.T, s *storage.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	data := []byte("late")
	ref := storage.RefOf(data)
	o := s.Objects(space)
	wantErr(t, "put", o.Put(ctx, ref, bytes.NewReader(data)), context.Canceled)
	_, err := o.Get(ctx, ref.Digest, 0)
	wantErr(t, "get", err, context.Canceled)
	wantErr(t, "create", s.Files.Create(ctx, "a", data), context.Canceled)
	_, err = s.Files.Get(ctx, "a")
	wantErr(t, "file", err, context.Canceled)
	for _, err := range s.Files.List(ctx, "", "") {
		wantErr(t, "list", err, context.Canceled)
	}
	_, err = s.Cells.Swap(ctx, "a", "", data)
	wantErr(t, "swap", err, context.Canceled)
	_, _, err = s.Cells.Load(ctx, "a")
	wantErr(t, "load", err, context.Canceled)
}
