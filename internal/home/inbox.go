package home

import (
	"os"

	"airlock/storage"
)

// What servers push lies in a store, which subscriptions follow:
//
//	inbox/           a directory store of mirrors
//	inbox.part/      what is being read, until it is verified

// Inbox is where what was pushed lies.
func (h *Home) Inbox() string { return h.file("inbox") }

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
