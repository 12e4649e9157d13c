//go:build linux || darwin

package storage

import "golang.org/x/sys/unix"

// FreeSpace returns the bytes that this user may still write where dir is, and
// whether that is known.
func FreeSpace(dir string) (int64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
