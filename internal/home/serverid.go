package home

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"airlock/storage"
)

var serverID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// ServerID returns the name by which the servers of a store know the one that
// runs with this home, 32 hexadecimal digits, and makes it where there is none.
func (h *Home) ServerID() (string, error) {
	path := h.file("server.id")
	b, err := ReadFile(path, 100)
	if errors.Is(err, fs.ErrNotExist) {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails, see crypto/rand
		b = hex.AppendEncode(nil, id[:])
		if err = storage.CreateFile(path, b, 0o600); errors.Is(err, fs.ErrExist) {
			return h.ServerID() // another process was faster
		}
	}
	if err == nil && !serverID.Match(b) {
		err = fmt.Errorf("%s: not the name of a server: remove it, and a new one is made", path)
	}
	return string(b), err
}
