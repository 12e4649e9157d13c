// Package home keeps a Space's own folder: its identity and keys, its trust
// files, and the state of the feeds it follows. One home holds one Space.
//
//	format               "airlock-home 1\n"
//	config.yaml          defaults for flags, see docs/configuration.md
//	space.id             the Space's identity file
//	keys/root-1.key      private keys, 0600; the highest number is the next root
//	keys/publisher-1.key its number is that of the identity version that lists it
//	keys/encryption-1.key  opens what is encrypted to the Space; numbered alike
//	keys/tls-1.key       shown to servers, plain; numbered alike
//	servers.json         the servers that this Space joined
//	keys/log.key         signs checkpoints, where this home serves feeds or
//	                     publishes into a store
//	keys/tsa.pem         signs time stamps, where this home makes receipts or
//	                     serves as a time authority
//	trust/<org>.<space>.yaml and .id   whom this Space trusts, for what
//	approvals/<id>.json  approvals by persons, as they came
//	inbox/, inbox.part/  what servers push, and while it is read
//	subscriptions/<name>.yaml          what an agent takes by itself
//	agent.lock                         held by the agent of this home
//	lists/<org>.<space>/<lineage>/<feed>/  trust lists that were taken in
//	scans/<manifest>.json              what scanners here said of a package
//	feeds/<lineage>/<feed>             empty: the feed is followed or published to
//	held/                what other Spaces said that they hold
//	receipts/            receipts that wait to be sent
//	audit.log            where this home runs or administers a server
//	spool/               uploads that are not complete, where it runs a server
//	store/               the server's store, where no other was named
//	state/               a directory store: what was seen of each feed, the
//	                     highest heads served (floor), what programs took
//	                     (applied), what an agent met (agent), the notes of
//	                     rollbacks and forks (evidence),
//	                     the own identity's versions that were made here (identity)
//
// docs/formats.md has it file by file.
//
// An attacker who reads keys/ speaks as the Space and reads what was encrypted to
// it; one who writes trust/ makes it believe others; one who writes state/ makes
// it forget what it has seen.
package home

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"airlock/storage"
	"airlock/trust"
)

const format = "airlock-home 1\n"

// ErrNoSpace reports a home without a Space of its own. It may still follow.
var ErrNoSpace = errors.New("this home holds no Space yet")

// Home is an open home.
type Home struct {
	path string

	lists sync.RWMutex // held for writing while trust lists are taken in

	mu    sync.Mutex
	state *storage.Store
	// What space.id held when it was last read, and what that says: reading it
	// is cheap, checking its signatures is not, and a command asks many times.
	idFile   []byte
	identity *trust.History
	edges    map[storage.Digest][]trust.Edge // of trust lists, by their document; nobody changes them
}

// Open opens a home, and makes the folder where it is missing, empty, or holds
// nothing but keys/log.key. One that holds something else is refused.
func Open(path string) (*Home, error) {
	h := &Home{path: path}
	got, err := ReadFile(h.file("format"), 100)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h, h.create()
	case err != nil:
		return nil, err
	case string(got) != format:
		return nil, &storage.FormatError{Where: path, Got: string(got), Want: format}
	}
	return h, nil
}

func (h *Home) create() error {
	if !h.isEmpty() {
		return &storage.FormatError{Where: h.path, Got: "files of something else", Want: format}
	}
	for _, dir := range []string{"", "keys", "trust"} {
		if err := os.MkdirAll(h.file(dir), 0o700); err != nil {
			return err
		}
	}
	// Last: what was cut off before is made again.
	err := storage.CreateFile(h.file("format"), []byte(format), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was faster
	}
	return err
}

// isEmpty reports whether the folder holds nothing, or what create left when it
// was cut off, or a log key alone, which was put there: that of an operator whose
// next server this is.
func (h *Home) isEmpty() bool {
	entries, _ := os.ReadDir(h.path)
	for _, e := range entries {
		switch inner, err := os.ReadDir(h.file(e.Name())); {
		case strings.HasPrefix(e.Name(), storage.TempPrefix), e.Name() == "format":
		case err == nil && e.Name() == "keys" && len(inner) == 1 && inner[0].Name() == "log.key":
		case err != nil || len(inner) > 0 || e.Name() != "keys" && e.Name() != "trust":
			return false
		}
	}
	return true
}

// Path is the home's folder.
func (h *Home) Path() string { return h.path }

func (h *Home) file(parts ...string) string {
	return filepath.Join(append([]string{h.path}, parts...)...)
}

// State returns the store with what was seen of feeds.
func (h *Home) State(ctx context.Context) (*storage.Store, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == nil {
		s, err := storage.OpenDir(ctx, h.file("state"))
		if err != nil {
			return nil, err
		}
		h.state = s
	}
	return h.state, nil
}

// Identity returns the Space's own identity; ErrNoSpace where it has none.
func (h *Home) Identity() (*trust.History, error) {
	b, err := ReadFile(h.file("space.id"), trust.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", h.path, ErrNoSpace)
	}
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.identity == nil || !bytes.Equal(b, h.idFile) {
		history, err := trust.ParseFile(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.file("space.id"), err)
		}
		h.idFile, h.identity = b, history
	}
	return h.identity.Clone(), nil
}

// ReadFile reads a file of at most limit bytes; a larger one is an error that
// names it.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return b, err
}
