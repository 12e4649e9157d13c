//go:build unix

package apply

import (
	"errors"
	"os"
	"syscall"
)

// fileSyncFlag opens a file for syncing; reading is enough here.
const fileSyncFlag = os.O_RDONLY

// foldersSync says that the names in a folder are made durable by syncing it.
const foldersSync = true

// isNotFolder reports a path that goes through a file.
func isNotFolder(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
