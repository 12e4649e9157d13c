package storage

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// locker keeps writers of one name apart, across processes of one machine.
type locker interface {
	// Lock waits until it has the named lock, shared or alone, or ctx ends. The
	// lock ends with release, or with the process.
	Lock(ctx context.Context, name string, exclusive bool) (release func(), err error)
}

// fileLocks locks by files that are never removed: removing one while another
// process opens it would split the lock in two.
type fileLocks struct{}

var _ locker = fileLocks{}

func (fileLocks) Lock(ctx context.Context, name string, exclusive bool) (func(), error) {
	f, err := openLock(name, exclusive)
	if err != nil {
		return nil, NoteFull(err)
	}
	return lockFile(ctx, f, exclusive)
}

// LockFile is Lock for a file that is open already: release closes it, and so
// does an error.
func LockFile(ctx context.Context, f *os.File) (release func(), err error) {
	return lockFile(ctx, f, true)
}

// TryLockFile reports whether it got the lock of an open file alone, without
// waiting. The lock ends with the file.
func TryLockFile(f *os.File) (bool, error) { return tryLock(f, true) }

func lockFile(ctx context.Context, f *os.File, exclusive bool) (func(), error) {
	release := func() { _ = f.Close() }
	taken, err := tryLock(f, exclusive)
	if taken {
		return release, nil
	}
	if err != nil {
		release()
		return nil, err
	}
	got := make(chan error, 1)
	go func() { got <- waitLock(f, exclusive) }()
	select {
	case err := <-got:
		if err != nil {
			release()
			return nil, err
		}
		return release, nil
	case <-ctx.Done():
		go func() { <-got; release() }() // ends when the holder lets go
		return nil, ctx.Err()
	}
}

// Lock waits until it has the lock at path alone among the processes of this
// machine, or ctx ends. The lock ends with release, or with the process; its
// file is made where needed and stays.
func Lock(ctx context.Context, path string) (release func(), err error) {
	return fileLocks{}.Lock(ctx, path, true)
}

// openLock opens a lock's file and makes it where needed. A reader without the
// right to write uses the one the writers made.
func openLock(name string, exclusive bool) (*os.File, error) {
	if !exclusive {
		if f, err := os.Open(name); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
}
