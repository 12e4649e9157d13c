package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"testing"

	"airlock/storage"
	"airlock/storage/storetest"
)

func TestNoFaults(t *testing.T) {
	storetest.Run(t, func(*testing.T) *storage.Store {
		return storetest.WithFaults(storage.NewMem(), storetest.Share(1, 0, storetest.Fault{Hang: true}))
	})
}

func TestFaults(t *testing.T) {
	data := []byte("data")
	ref := storage.RefOf(data)
	ops := map[string]func(ctx context.Context, s *storage.Store) error{
		"Put": func(ctx context.Context, s *storage.Store) error {
			return s.Objects("acme/dev").Put(ctx, ref, bytes.NewReader(data))
		},
		"PutBatch": func(ctx context.Context, s *storage.Store) error {
			return storage.PutAll(ctx, s.Objects("acme/dev"), []storage.Item{{Ref: ref, Data: data}})
		},
		"Create": func(ctx context.Context, s *storage.Store) error { return s.Files.Create(ctx, "k", data) },
		"Swap": func(ctx context.Context, s *storage.Store) error {
			_, err := s.Cells.Swap(ctx, "k", "", data)
			return err
		},
	}
	there := map[string]func(ctx context.Context, s *storage.Store) error{
		"Put": func(ctx context.Context, s *storage.Store) error {
			_, err := s.Objects("acme/dev").Stat(ctx, ref.Digest)
			return err
		},
		"Create": func(ctx context.Context, s *storage.Store) error {
			_, err := s.Files.Get(ctx, "k")
			return err
		},
		"Swap": func(ctx context.Context, s *storage.Store) error {
			_, _, err := s.Cells.Load(ctx, "k")
			return err
		},
	}
	there["PutBatch"] = there["Put"]
	for op, do := range ops {
		for _, test := range []struct {
			name  string
			fault storetest.Fault
			want  error
			there bool
		}{
			{"before", storetest.Fault{Before: storetest.ErrServer}, storetest.ErrServer, false},
			{"full", storetest.Fault{Before: storage.ErrNoSpace}, storage.ErrNoSpace, false},
			{"after", storetest.Fault{After: storetest.ErrLost}, storetest.ErrLost, true},
			{"hang", storetest.Fault{Hang: true}, context.Canceled, false},
		} {
			t.Run(op+" "+test.name, func(t *testing.T) {
				inner := storage.NewMem()
				ctx, cancel := context.WithCancel(t.Context())
				s := storetest.WithFaults(inner, func(c storetest.Call) storetest.Fault {
					if c.Op != op {
						t.Errorf("called %+v", c)
					}
					if test.fault.Hang {
						cancel()
					}
					return test.fault
				})
				defer cancel()
				err := do(ctx, s)
				if !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
				if unclear := errors.Is(err, storage.ErrUnclear); unclear != (op == "Swap" && test.there) {
					t.Errorf("got %v", err)
				}
				err = there[op](t.Context(), inner)
				if (err == nil) != test.there || err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("afterwards: %v", err)
				}
			})
		}
	}
}
