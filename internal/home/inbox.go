package home

import (
	"os"
	"path/filepath"

	"airlock/storage"
)

// What servers push lies in a store, which subscriptions follow:
//
//	inbox/           a directory store of mirrors
//	inbox.part/      what is being read, until it is verified

// Inbox is where what was pushed lies.
func (h *Home) Inbox() string { return h.file("inbox") }

// IsInbox reports whether a path leads to the inbox, however it is written.
func (h *Home) IsInbox(path string) bool {
	here, err := os.Stat(h.Inbox())
	if there, failed := os.Stat(path); err == nil && failed == nil {
		return os.SameFile(here, there)
	}
	inbox, err := filepath.Abs(h.Inbox())
	named, failed := filepath.Abs(path)
	return err == nil && failed == nil && inbox == named
}

// CreatePushed makes an empty file for what is being pushed, which the caller
// removes.
func (h *Home) CreatePushed() (*os.File, error) {
	if err := os.MkdirAll(h.file("inbox.part"), 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(h.file("inbox.part"), storage.TempPrefix)
	return f, storage.NoteFull(err)
}

// ClearPushed removes what an agent left that was ended while it read. Only the
// agent of this home may ask for it; see LockAgent.
func (h *Home) ClearPushed() error { return os.RemoveAll(h.file("inbox.part")) }
