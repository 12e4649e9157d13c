package storage_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"airlock/storage"
	"airlock/storage/storetest"
)

func TestMem(t *testing.T) {
	storetest.Run(t, func(*testing.T) *storage.Store { return storage.NewMem() })
}

// The same with large payloads in chunks.
func TestChunked(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) *storage.Store{
		"memory": func(*testing.T) *storage.Store { return storage.NewMem() },
		"folder": func(t *testing.T) *storage.Store { return openDir(t, t.TempDir()) },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) *storage.Store { return storage.Chunked(open(t)) })
		})
	}
}

func TestChunkedS3(t *testing.T) {
	cfg := storetest.VersityGW(t)
	n := 0
	storetest.Run(t, func(t *testing.T) *storage.Store {
		n++
		cfg.Prefix = fmt.Sprintf("store/%d", n)
		return storage.Chunked(openS3(t, cfg))
	})
}

func TestDir(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *storage.Store { return openDir(t, filepath.Join(t.TempDir(), "a", "store")) })
}

func openDir(t *testing.T, path string) *storage.Store {
	t.Helper()
	s, err := storage.OpenDir(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestS3(t *testing.T) {
	cfg := storetest.VersityGW(t)
	n := 0
	storetest.Run(t, func(t *testing.T) *storage.Store {
		n++
		cfg.Prefix = fmt.Sprintf("store/%d", n)
		s, err := storage.OpenS3(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if s.Exclusive != "" {
			t.Errorf("exclusive: %s", s.Exclusive)
		}
		return s
	})
}
