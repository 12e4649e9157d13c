package home

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"airlock/internal/tsa"
	"airlock/storage"
)

// tsaFile holds the home's own time authority: its certificates and its key.
const tsaFile = "tsa.pem"

// TimeAuthority returns the home's own time authority; fs.ErrNotExist where it
// has none.
func (h *Home) TimeAuthority() (*tsa.Identity, error) {
	b, err := ReadFile(h.file("keys", tsaFile), 64<<10)
	if err != nil {
		return nil, err
	}
	id, err := tsa.ParseIdentity(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.file("keys", tsaFile), err)
	}
	return id, nil
}

// EnsureTimeAuthority returns the home's own time authority, and makes it where
// there is none. Its key is plain, as the log key is: receipts are stamped
// without a person.
func (h *Home) EnsureTimeAuthority(name string, now time.Time) (*tsa.Identity, error) {
	id, err := h.TimeAuthority()
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	if id, err = tsa.NewIdentity(name, now); err != nil {
		return nil, err
	}
	text, err := id.Format()
	if err != nil {
		return nil, err
	}
	err = storage.CreateFile(h.file("keys", tsaFile), text, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return h.TimeAuthority() // another process was faster
	}
	return id, err
}
