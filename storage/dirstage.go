package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// stage writes a new temporary file with fill, syncs it and returns its name.
// Nothing is left behind on error. The names go to 32 folders by their first
// character: one that has got many inodes makes new ones slowly (ext4).
func (s *dirStore) stage(at syncPoint, fill func(io.Writer) error) (string, error) {
	drawn := strings.ToLower(rand.Text())
	shard := tmpFolder + "/" + drawn[:1]
	name := s.path(shard + "/" + drawn)
	f, err := s.files.Create(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.makeScratch(tmpFolder, shard); err != nil {
			return "", err
		}
		f, err = s.files.Create(name)
	}
	if err != nil {
		return "", err
	}
	err = fill(f)
	if err == nil {
		err = f.Sync(at)
	}
	if err := firstErr(err, f.Close()); err != nil {
		_ = s.files.Remove(name)
		return "", err
	}
	return name, nil
}

func (s *dirStore) stageBytes(at syncPoint, parts ...[]byte) (string, error) {
	return s.stage(at, func(w io.Writer) error {
		for _, part := range parts {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		return nil
	})
}

// rename gives a staged file its name, in place of what had it. Durable once
// the folder is synced.
func (s *dirStore) rename(staged, name string) error {
	err := s.files.Rename(staged, name)
	if err != nil {
		_ = s.files.Remove(staged)
	}
	return err
}

// link gives a staged file its name unless the name is taken (fs.ErrExist).
// Durable once the folder is synced.
func (s *dirStore) link(ctx context.Context, staged, name string) error {
	err := s.files.Link(staged, name)
	if err == nil || !noLinks(err) {
		_ = s.files.Remove(staged)
		return err
	}
	// A file system without links, such as FAT: all writers come through here.
	release, err := s.lock(ctx, "links", true)
	if err != nil {
		return err
	}
	defer release()
	if s.exists(name) {
		_ = s.files.Remove(staged)
		return fs.ErrExist
	}
	return s.rename(staged, name)
}

// lock takes the lock of a key. Its file is named by the key's digest, so that
// locks of "a" and "a/b" can be side by side.
func (s *dirStore) lock(ctx context.Context, key string, exclusive bool) (func(), error) {
	name := s.path(lockFolder + "/" + DigestOf([]byte(key)).Hex()[:32])
	release, err := s.locks.Lock(ctx, name, exclusive)
	if !errors.Is(err, fs.ErrNotExist) {
		return release, err
	}
	if err := s.makeScratch(lockFolder); err != nil {
		return nil, err
	}
	return s.locks.Lock(ctx, name, exclusive)
}

// makeScratch makes folders for what need not outlive a power cut, and so does
// not sync them: temporary files and locks.
func (s *dirStore) makeScratch(folders ...string) error {
	for _, folder := range folders {
		if err := s.files.Mkdir(s.path(folder)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// makeFolders makes folders and all above them, durable on return. Those that
// exist are synced too, another process may have made them a moment ago; what
// this process has synced once is remembered.
func (s *dirStore) makeFolders(ctx context.Context, at syncPoint, dirs ...string) error {
	todo := map[string]bool{}
	for _, dir := range dirs {
		for _, dir := range s.ancestors(dir) {
			if !s.folders.has(dir, "") {
				todo[dir] = true
			}
		}
	}
	if len(todo) == 0 {
		return nil
	}
	parents := map[string]bool{}
	for _, dir := range slices.Sorted(maps.Keys(todo)) { // a parent sorts before what is in it
		if err := s.files.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		parents[filepath.Dir(dir)] = true
	}
	if err := s.syncFolders(ctx, parents, at); err != nil {
		return err
	}
	for dir := range todo {
		s.folders.add(dir, "")
	}
	return nil
}

// ancestors returns dir and the folders above it up to, not with, the store's
// own; outermost first.
func (s *dirStore) ancestors(dir string) []string {
	var all []string
	for ; dir != s.root && len(dir) > len(s.root); dir = filepath.Dir(dir) {
		all = append(all, dir)
	}
	slices.Reverse(all)
	return all
}

func (s *dirStore) syncFolders(ctx context.Context, dirs map[string]bool, at syncPoint) error {
	names := slices.Collect(maps.Keys(dirs))
	return each(ctx, len(names), func(_ context.Context, i int) error {
		return s.files.SyncDir(names[i], at)
	})
}

func (s *dirStore) exists(name string) bool {
	f, err := s.files.Open(name)
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}
