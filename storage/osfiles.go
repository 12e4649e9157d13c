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
		return nil, NoteFull(err)
	}
	return &osNewFile{file: f}, nil
}

func (osFiles) Mkdir(name string) error               { return NoteFull(os.Mkdir(name, dirMode)) }
func (osFiles) Link(from, to string) error            { return NoteFull(os.Link(from, to)) }
func (osFiles) Rename(from, to string) error          { return NoteFull(os.Rename(from, to)) }
func (osFiles) Remove(name string) error              { return os.Remove(name) }
func (osFiles) Touch(name string, at time.Time) error { return os.Chtimes(name, at, at) }

func (osFiles) SyncFile(name string, _ syncPoint) error {
	f, err := os.OpenFile(name, syncFlag, 0)
	if err != nil {
		return err
	}
	return NoteFull(errors.Join(f.Sync(), f.Close()))
}

func (osFiles) SyncDir(name string, _ syncPoint) error {
	return NoteFull(SyncDir(name))
}

// writebackStep is how many bytes are written before the kernel is told to
// begin moving them to the disk. Without it the whole of a large payload waits
// for the final sync.
const writebackStep = 8 << 20

// Writeback follows a file as it is written, and tells the kernel to begin
// moving what is there to the disk. A zero Writeback is of an empty file.
type Writeback struct{ n, told int64 }

// Wrote says that n bytes more are in f.
func (w *Writeback) Wrote(f *os.File, n int) {
	w.n += int64(n)
	if w.n-w.told >= writebackStep {
		startWriteback(f, w.told, w.n-w.told)
		w.told = w.n
	}
}

// Large reports whether the kernel was told: such a file is best synced on its
// own.
func (w *Writeback) Large() bool { return w.n >= writebackStep }

type osNewFile struct {
	file *os.File
	back Writeback
}

func (f *osNewFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	f.back.Wrote(f.file, n)
	return n, NoteFull(err)
}

func (f *osNewFile) Sync(_ syncPoint) error { return NoteFull(f.file.Sync()) }
func (f *osNewFile) Close() error           { return NoteFull(f.file.Close()) }

// NoteFull makes a full disk or an exhausted quota match ErrNoSpace.
func NoteFull(err error) error {
	if err != nil && isFull(err) && !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
