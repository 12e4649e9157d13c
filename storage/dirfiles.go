package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"
)

// dirFiles keeps each file under files/ by its key.
type dirFiles struct{ store *dirStore }

var _ Files = (*dirFiles)(nil)

const filesPrefix = "files/"

func (f *dirFiles) Get(ctx context.Context, key string) ([]byte, error) {
	if err := firstErr(ctx.Err(), checkPathKey(key)); err != nil {
		return nil, err
	}
	value, err := f.store.read(f.store.path(filesPrefix+key), MaxFile)
	if isAbsent(err) {
		return nil, noFile(key)
	}
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", key, err)
	}
	return value, nil
}

func (f *dirFiles) Create(ctx context.Context, key string, value []byte) error {
	if err := firstErr(ctx.Err(), checkValue(key, value), checkPathKey(key)); err != nil {
		return err
	}
	err := f.store.createFile(ctx, filesPrefix+key, value)
	switch {
	case err == nil:
		return nil
	case isClash(err):
		return folderClash(key)
	}
	return fmt.Errorf("file %q: %w", key, err)
}

// createFile stores value unless key holds other bytes (ErrExists). Durable on
// return, also where the same bytes were there before.
func (s *dirStore) createFile(ctx context.Context, key string, value []byte) error {
	name := s.path(key)
	dir := filepath.Dir(name)
	if err := s.makeFolders(ctx, syncFileParents, dir); err != nil {
		return err
	}
	if !s.exists(name) {
		staged, err := s.stageBytes(syncFile, value)
		if err != nil {
			return err
		}
		if err = s.link(ctx, staged, name); err == nil {
			return s.files.SyncDir(dir, syncFileFolder)
		} else if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	old, err := s.read(name, MaxFile)
	if err != nil {
		return err
	}
	if err := sameFile(key, old, value); err != nil {
		return err
	}
	// Who wrote it may not have come to its own sync, or may not be one of ours
	// (a restored backup).
	if err := s.files.SyncFile(name, syncSame); err != nil {
		return err
	}
	return s.files.SyncDir(dir, syncSameFolder)
}

// errFolder is found where a file was looked for.
var errFolder = errors.New("is a folder")

// read returns a whole file of at most limit bytes.
func (s *dirStore) read(name string, limit int64) ([]byte, error) {
	f, err := s.files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errFolder
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("has %d bytes, at most %d can be", info.Size(), limit)
	}
	value := make([]byte, info.Size())
	_, err = io.ReadFull(f, value)
	return value, err
}

func (f *dirFiles) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := checkPrefix(prefix); err != nil {
			yield("", err)
			return
		}
		w := &dirWalk{ctx: ctx, store: f.store, prefix: prefix, after: after, yield: yield}
		w.walk(prefix[:strings.LastIndexByte(prefix, '/')+1])
	}
}

// dirWalk yields the keys of one List.
type dirWalk struct {
	ctx           context.Context // of the one List that this walk serves
	store         *dirStore
	prefix, after string
	yield         func(string, error) bool
}

// walk yields what lies in folder, "" or a key and "/", and reports whether to
// go on. Folders sort with their "/", so that keys come in byte order.
func (w *dirWalk) walk(folder string) bool {
	if err := w.ctx.Err(); err != nil {
		return w.yield("", err)
	}
	entries, err := w.store.files.ReadDir(w.store.path(filesPrefix + folder))
	if isAbsent(err) {
		return true
	}
	if err != nil {
		return w.yield("", err)
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		switch name := entry.Name(); {
		case CheckKey(name) != nil: // not ours
		case entry.IsDir():
			names = append(names, name+"/")
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if !w.visit(folder + name) {
			return false
		}
	}
	return true
}

func (w *dirWalk) visit(key string) bool {
	if !strings.HasSuffix(key, "/") {
		return !strings.HasPrefix(key, w.prefix) || key <= w.after || w.yield(key, nil)
	}
	if !strings.HasPrefix(key, w.prefix) && !strings.HasPrefix(w.prefix, key) {
		return true
	}
	if key < w.after && !strings.HasPrefix(w.after, key) {
		return true // all of it sorts before after
	}
	return w.walk(key)
}

// isAbsent reports that nothing has a name, also because what should be a
// folder above it is a file.
func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) || isClash(err) }

// isClash reports a key that is the folder of another, or the reverse.
func isClash(err error) bool { return errors.Is(err, errFolder) || isFolderClash(err) }

// checkPathKey reports a key that cannot be a path on this system, such as
// "con" on Windows.
func checkPathKey(key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if !filepath.IsLocal(filepath.FromSlash(key)) {
		return &KeyError{Key: key, Rule: "is not a file name on this system"}
	}
	return nil
}
