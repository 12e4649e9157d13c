package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"
)

const (
	// Format is the content of a store's marker, under formatKey.
	Format = "airlock-store 2\n"
	// Earlier is the format before Format. All lies at the same place in it; what
	// differs is in which cells servers look for what their operator said.
	Earlier   = "airlock-store 1\n"
	formatKey = "format"

	tmpFolder  = "tmp"
	lockFolder = "locks"

	// abandoned is the age at which a temporary file has no owner any more. A
	// single Put may take hours on a slow line.
	abandoned = 24 * time.Hour
)

// OpenDir opens the store in the folder at path, and makes it where the folder
// is missing or empty. Any number of processes of one machine may have it open;
// a folder shared over a network is for one machine. Another folder, or one of
// a version that is not known, gives *FormatError.
func OpenDir(ctx context.Context, path string) (*Store, error) {
	return openDir(ctx, path, opening{format: Format})
}

func openDir(ctx context.Context, path string, o opening) (*Store, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	s := newDirStore(root, osFiles{}, fileLocks{})
	s.opening = o
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("store %s: %w", root, err)
	}
	return s.ports(), nil
}

// dirStore is a store in a folder. doc.go has the layout.
type dirStore struct {
	root  string
	files fileLayer
	locks locker
	now   func() time.Time
	small int64 // objects up to this size, in bytes, are held in memory while put

	opening

	folders seen // folders known to outlive a power cut
	tags    seen // cells, by key and tag, known to outlive a power cut
}

func newDirStore(root string, files fileLayer, locks locker) *dirStore {
	return &dirStore{root: root, files: files, locks: locks, now: time.Now, small: pieceSize, opening: opening{format: Format}}
}

func (s *dirStore) ports() *Store {
	return &Store{
		Name:    s.root,
		Objects: func(space string) Objects { return &dirObjects{store: s, space: space} },
		Files:   &dirFiles{store: s},
		Cells:   &dirCells{store: s},
		Close:   func() error { return nil },
		raise:   s.raise,
	}
}

// path returns where a key lies. The key has been checked.
func (s *dirStore) path(key string) string {
	return filepath.Join(s.root, filepath.FromSlash(key))
}

func (s *dirStore) open(ctx context.Context) error {
	err := s.checkMarker()
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.existing:
		err = s.absent()
	case errors.Is(err, fs.ErrNotExist):
		err = s.create(ctx)
	}
	if err != nil {
		return err
	}
	s.removeAbandoned()
	return nil
}

// checkMarker returns fs.ErrNotExist where there is no marker.
func (s *dirStore) checkMarker() error {
	marker, err := s.readMarker()
	if err != nil {
		return err
	}
	if marker != s.format {
		return &FormatError{Where: s.root, Got: marker, Want: s.format}
	}
	// Its maker may have had no time to sync it. Without this a power cut could
	// leave the folders made from here on, and no marker.
	return ignoreReadOnly(s.files.SyncDir(s.root, syncMarker))
}

func (s *dirStore) readMarker() (string, error) {
	f, err := s.files.Open(s.path(formatKey))
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 80))
	return string(text), err
}

// create makes a new store. The marker comes first: whatever is there without
// one is not ours.
func (s *dirStore) create(ctx context.Context) error {
	if err := s.makeRoot(); err != nil {
		return err
	}
	vacant, err := s.vacant()
	if err != nil || !vacant {
		return err
	}
	return s.createFile(ctx, formatKey, []byte(Format))
}

// absent says what is in the folder where there was no marker.
func (s *dirStore) absent() error {
	vacant, err := s.vacant()
	if vacant || errors.Is(err, fs.ErrNotExist) {
		return ErrNoStore
	}
	return err
}

// vacant reports whether a store may be made in the folder. It may not where
// something else is there, which is a *FormatError, or a store by now: another
// process may have made it since we looked.
func (s *dirStore) vacant() (bool, error) {
	entries, err := s.files.ReadDir(s.root)
	if err != nil {
		return false, err
	}
	for _, entry := range entries {
		switch entry.Name() {
		case tmpFolder, lockFolder, "lost+found":
			continue
		}
		err := s.checkMarker()
		if errors.Is(err, fs.ErrNotExist) {
			err = &FormatError{Where: s.root, Got: "", Want: Format}
		}
		return false, err
	}
	return true, nil
}

// makeRoot makes the store's folder and all above it, durable on return.
func (s *dirStore) makeRoot() error {
	var chain []string // root first
	for dir := s.root; ; dir = filepath.Dir(dir) {
		chain = append(chain, dir)
		if dir == filepath.Dir(dir) {
			break
		}
	}
	for i := len(chain) - 2; i >= 0; i-- {
		made := s.files.Mkdir(chain[i])
		if made != nil && !s.exists(chain[i]) {
			return made
		}
		err := s.files.SyncDir(chain[i+1], syncRootPath)
		if err != nil && (made == nil || !errors.Is(err, fs.ErrPermission)) {
			return err
		}
	}
	return nil
}

// removeAbandoned removes temporary files that nobody finished. A failure
// costs room and nothing else; the next opening tries again.
func (s *dirStore) removeAbandoned() {
	shards, _ := s.files.ReadDir(s.path(tmpFolder))
	for _, shard := range shards {
		folder := tmpFolder + "/" + shard.Name()
		entries, _ := s.files.ReadDir(s.path(folder))
		for _, entry := range entries {
			info, err := entry.Info()
			if err == nil && s.now().Sub(info.ModTime()) > abandoned {
				_ = s.files.Remove(s.path(folder + "/" + entry.Name()))
			}
		}
	}
}

// ignoreReadOnly forgives that a medium which cannot be written was not synced.
func ignoreReadOnly(err error) error {
	if err != nil && (isReadOnly(err) || errors.Is(err, fs.ErrPermission)) {
		return nil
	}
	return err
}
