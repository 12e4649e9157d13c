package apply

import (
	"context"
	"os"
)

// The lock is a file that is never removed: removing it while another process
// opens it would split the lock in two.

// tryLock returns nil where another process has the lock.
func (d *Dir) tryLock(k *disk) (release func(), err error) {
	f, err := k.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, noteFull(err)
	}
	taken, err := lockFile(f, false)
	if !taken {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// lock waits for the lock, up to d.Wait and as long as ctx.
func (d *Dir) lock(ctx context.Context, k *disk) (release func(), err error) {
	release, err = d.tryLock(k)
	if release != nil || err != nil {
		return release, err
	}
	f, err := k.root.OpenFile(lockName, os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, d.Wait)
	defer cancel()
	got := make(chan error, 1)
	go func() {
		_, err := lockFile(f, true)
		got <- err
	}()
	select {
	case err := <-got:
		if err != nil {
			_ = f.Close()
			return nil, err
		}
		return func() { _ = f.Close() }, nil
	case <-waiting.Done():
		go func() { <-got; _ = f.Close() }() // ends when the holder lets go
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return nil, &BusyError{Dir: d.path}
	}
}
