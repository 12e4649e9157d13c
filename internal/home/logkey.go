package home

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"airlock/feed"
	"airlock/storage"
)

const logKeyHeader = "airlock log key 1\n"

// LogKey returns the key that signs checkpoints; fs.ErrNotExist where this
// home has none. It is never kept in a store.
func (h *Home) LogKey() (feed.LogKey, error) {
	b, err := ReadFile(h.file("keys", "log.key"), 200)
	if err != nil {
		return feed.LogKey{}, err
	}
	text, ok := strings.CutPrefix(string(b), logKeyHeader)
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, "\n"))
	if !ok || err != nil {
		return feed.LogKey{}, fmt.Errorf("%s: not a log key of this version", h.file("keys", "log.key"))
	}
	return feed.NewLogKey(seed)
}

// EnsureLogKey returns the log key, and makes it where there is none. It is
// plain: a server must start without a person.
func (h *Home) EnsureLogKey() (key feed.LogKey, created bool, err error) {
	key, err = h.LogKey()
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	seed := make([]byte, 32)
	if _, err := rand.Read(seed); err != nil {
		return feed.LogKey{}, false, err
	}
	content := logKeyHeader + base64.StdEncoding.EncodeToString(seed) + "\n"
	err = storage.CreateFile(h.file("keys", "log.key"), []byte(content), 0o600)
	if errors.Is(err, fs.ErrExist) {
		key, err = h.LogKey() // another process was faster
		return key, false, err
	}
	if err != nil {
		return feed.LogKey{}, false, err
	}
	key, err = feed.NewLogKey(seed)
	return key, true, err
}
