package bundle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"airlock/storage"
)

// Folder is where volumes are written: a folder of the operating system, or one
// in a test that fails at a chosen step. Names have no slash.
type Folder interface {
	// Create opens a new file for writing; what had the name is gone.
	Create(name string) (File, error)
	// Open opens a file that exists, for reading and writing.
	Open(name string) (File, error)
	// Rename gives a file another name, in place of what had it.
	Rename(from, to string) error
	// Remove removes a file; fs.ErrNotExist where there is none.
	Remove(name string) error
	// Size returns the bytes of a file; fs.ErrNotExist where there is none.
	Size(name string) (int64, error)
	// Sync makes names durable.
	Sync() error
	// Free returns the bytes that may still be written, and whether that is
	// known.
	Free() (int64, bool)
}

// File is an open file of a Folder.
type File interface {
	io.Writer
	io.ReaderAt
	io.WriterAt
	Sync() error
	Close() error
}

// NewFolder returns the folder at path, which it makes where there is none.
func NewFolder(path string) (Folder, error) {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, err
	}
	return osFolder(path), nil
}

type osFolder string

func (f osFolder) path(name string) string { return filepath.Join(string(f), name) }

func (f osFolder) Create(name string) (File, error) {
	return asFile(os.OpenFile(f.path(name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666))
}

func (f osFolder) Open(name string) (File, error) {
	return asFile(os.OpenFile(f.path(name), os.O_RDWR, 0))
}

func asFile(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, noteFull(err)
	}
	return osFile{f}, nil
}

func (f osFolder) Rename(from, to string) error { return noteFull(os.Rename(f.path(from), f.path(to))) }
func (f osFolder) Remove(name string) error     { return os.Remove(f.path(name)) }

func (f osFolder) Size(name string) (int64, error) {
	info, err := os.Lstat(f.path(name))
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s: is no file: %w", f.path(name), fs.ErrNotExist)
	}
	return info.Size(), nil
}

// Sync implements Folder. FAT and network file systems know no sync of folders,
// and Windows has none.
func (f osFolder) Sync() error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(string(f))
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

func (f osFolder) Free() (int64, bool) { return storage.FreeSpace(string(f)) }

type osFile struct{ *os.File }

func (f osFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, noteFull(err)
}

func (f osFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	return n, noteFull(err)
}

func (f osFile) Sync() error { return noteFull(f.File.Sync()) }

// noteFull makes a full medium match storage.ErrNoSpace.
func noteFull(err error) error {
	if errors.Is(err, syscall.EFBIG) { // more than its file system lets a file have
		return fmt.Errorf("%w: %w", storage.ErrNoSpace, err)
	}
	return storage.NoteFull(err)
}
