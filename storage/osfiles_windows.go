package storage

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// syncFlag opens a file for syncing; flushing needs the right to write.
const syncFlag = os.O_RDWR

func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// isReadOnly reports a medium that nobody can write.
func isReadOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }

// noLinks reports a file system without hard links, such as FAT.
func noLinks(err error) bool {
	return errors.Is(err, windows.ERROR_INVALID_FUNCTION) || errors.Is(err, windows.ERROR_NOT_SUPPORTED)
}

// isFolderClash reports a file where a folder must be, or the reverse.
func isFolderClash(err error) bool {
	return errors.Is(err, windows.ERROR_DIRECTORY) || errors.Is(err, windows.ERROR_PATH_NOT_FOUND)
}

// SyncDir does nothing: NTFS writes names to its journal, and there is no call
// to wait for it without administrator's rights. The promise of durability for
// names holds on Linux and macOS only.
func SyncDir(string) error { return nil }
