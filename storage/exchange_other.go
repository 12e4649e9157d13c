//go:build !linux

package storage

import "errors"

// exchange needs a call that only Linux has for all its file systems.
func exchange(_, _ string) error { return errors.ErrUnsupported }
