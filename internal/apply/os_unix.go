//go:build unix

package apply

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// fileSyncFlag opens a file for syncing; reading is enough here.
const fileSyncFlag = os.O_RDONLY

// foldersSync says that the names in a folder are made durable by syncing it.
const foldersSync = true

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// isNotFolder reports a path that goes through a file.
func isNotFolder(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// lockFile takes the lock alone, waiting for it if asked to.
func lockFile(f *os.File, wait bool) (bool, error) {
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, err
		}
	}
}
