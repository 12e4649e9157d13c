//go:build unix

package storage

import (
	"errors"
	"os"
	"syscall"
)

// syncFlag opens a file for syncing; reading is enough here.
const syncFlag = os.O_RDONLY

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// isReadOnly reports that a medium cannot be written, by anybody.
func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

// noLinks reports a file system without hard links, such as FAT.
func noLinks(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS)
}

// isFolderClash reports a file where a folder must be, or the reverse.
func isFolderClash(err error) bool {
	return errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR)
}

// SyncDir makes the names in a folder durable.
func SyncDir(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
