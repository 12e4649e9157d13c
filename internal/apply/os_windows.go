package apply

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// fileSyncFlag opens a file for syncing; flushing needs the right to write.
const fileSyncFlag = os.O_RDWR

// foldersSync: NTFS writes names to its journal, and there is no call to wait
// for it without administrator's rights.
const foldersSync = false

// isNotFolder reports a path that goes through a file.
func isNotFolder(err error) bool {
	return errors.Is(err, windows.ERROR_DIRECTORY) || errors.Is(err, windows.ERROR_PATH_NOT_FOUND)
}
