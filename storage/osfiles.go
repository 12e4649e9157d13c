package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Files are for their owner and, if the umask lets it, the group; packages are
// not for everybody on a machine.
const (
	fileMode = 0o660
	dirMode  = 0o770
)

// osFiles is the file layer of the operating system.
type osFiles struct{}

var _ fileLayer = osFiles{}

func (osFiles) Open(name string) (openFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osFiles) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

func (osFiles) Create(name string) (newFile, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, noteFull(err)
	}
	return &osNewFile{file: f}, nil
}

func (osFiles) Mkdir(name string) error               { return noteFull(os.Mkdir(name, dirMode)) }
func (osFiles) Link(from, to string) error            { return noteFull(os.Link(from, to)) }
func (osFiles) Rename(from, to string) error          { return noteFull(os.Rename(from, to)) }
func (osFiles) Remove(name string) error              { return os.Remove(name) }
func (osFiles) Touch(name string, at time.Time) error { return os.Chtimes(name, at, at) }

func (osFiles) SyncFile(name string, _ syncPoint) error {
	f, err := os.OpenFile(name, syncFlag, 0)
	if err != nil {
		return err
	}
	return noteFull(errors.Join(f.Sync(), f.Close()))
}

func (osFiles) SyncDir(name string, _ syncPoint) error {
	return noteFull(SyncDir(name))
}

// writebackStep is how many bytes are written before the kernel is told to
// begin moving them to the disk. Without it the whole of a large payload waits
// for the final sync.
const writebackStep = 8 << 20

type osNewFile struct {
	file    *os.File
	n, told int64
}

func (f *osNewFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	f.n += int64(n)
	if f.n-f.told >= writebackStep {
		startWriteback(f.file, f.told, f.n-f.told)
		f.told = f.n
	}
	return n, noteFull(err)
}

func (f *osNewFile) Sync(_ syncPoint) error { return noteFull(f.file.Sync()) }
func (f *osNewFile) Close() error           { return noteFull(f.file.Close()) }

// noteFull makes a full disk or an exhausted quota match ErrNoSpace.
func noteFull(err error) error {
	if err != nil && isFull(err) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
