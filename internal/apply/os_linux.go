package apply

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncFileSystem reports whether the kernel knows the call.
func syncFileSystem(f *os.File) (bool, error) {
	err := unix.Syncfs(int(f.Fd()))
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return false, nil
	}
	return true, err
}
