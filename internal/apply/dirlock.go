package apply

import (
	"context"
	"errors"
	"os"

	"airlock/storage"
)

// openLock opens the lock's file, which is never removed: removing it while
// another process opens it would split the lock in two.
func openLock(k *disk) (*os.File, error) {
	f, err := k.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, fileMode)
	return f, storage.NoteFull(err)
}

// tryLock returns nil where another process has the lock.
func (d *Dir) tryLock(k *disk) (release func(), err error) {
	f, err := openLock(k)
	if err != nil {
		return nil, err
	}
	if taken, err := storage.TryLockFile(f); !taken {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// lock waits for the lock, up to d.Wait and as long as ctx.
func (d *Dir) lock(ctx context.Context, k *disk) (release func(), err error) {
	f, err := openLock(k)
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, d.Wait)
	defer cancel()
	release, err = storage.LockFile(waiting, f)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, &BusyError{Dir: d.path}
	}
	return release, err
}
