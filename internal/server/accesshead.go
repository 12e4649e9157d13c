package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"airlock/signing"
	"airlock/storage"
)

// accessHead counts the changes of each bucket, access/common last, so that a
// server sees by one small cell which it has to read anew:
//
//	{"format":"airlock-access-head 1","versions":[0,0,…]}
//
// A change is made when its bucket is swapped; the count is raised after that. A
// server that was not told, because whoever changed the bucket died between the
// two, finds out within accessRound.
type accessHead struct {
	Format   string  `json:"format"`
	Versions []int64 `json:"versions"`
}

const (
	accessHeadKey    = "access/head"
	accessHeadFormat = "airlock-access-head 1"
	maxAccessHead    = 4 << 10 // bytes
)

func newAccessHead() *accessHead {
	return &accessHead{accessHeadFormat, make([]int64, allBuckets)}
}

func (h *accessHead) format() ([]byte, error) { return signing.MarshalCanonical(h) }

func parseAccessHead(raw []byte) (*accessHead, error) {
	if len(raw) > maxAccessHead {
		return nil, fmt.Errorf("store: %s: %d bytes, at most %d are allowed", accessHeadKey, len(raw), maxAccessHead)
	}
	if err := checkFormat(accessHeadKey, raw, accessHeadFormat); err != nil {
		return nil, err
	}
	h := &accessHead{}
	if err := signing.UnmarshalCanonical(raw, h); err != nil {
		return nil, fmt.Errorf("store: %s: %w", accessHeadKey, err)
	}
	if len(h.Versions) != allBuckets {
		return nil, fmt.Errorf("store: %s: %d versions, want %d", accessHeadKey, len(h.Versions), allBuckets)
	}
	for _, v := range h.Versions {
		if v < 0 {
			return nil, fmt.Errorf("store: %s: version %d", accessHeadKey, v)
		}
	}
	return h, nil
}

// readHead reads the head; where nothing was ever changed there is none.
func (a *accessState) readHead(ctx context.Context) (*accessHead, string, error) {
	raw, tag, err := a.cells.Load(ctx, accessHeadKey)
	if errors.Is(err, fs.ErrNotExist) {
		return newAccessHead(), "", nil
	}
	if err != nil {
		return nil, "", err
	}
	h, err := parseAccessHead(raw)
	return h, tag, err
}

// raise counts a change of bucket n.
func (a *accessState) raise(ctx context.Context, n int) error {
	return retrySwap(func() error {
		h, tag, err := a.readHead(ctx)
		if err != nil {
			return err
		}
		h.Versions[n]++
		raw, err := h.format()
		if err != nil {
			return err
		}
		// Counting twice after an unclear answer does no harm.
		_, err = a.cells.Swap(ctx, accessHeadKey, tag, raw)
		return err
	})
}

// maxSwaps bounds how often a change is tried that others are faster with.
const maxSwaps = 50

func retrySwap(try func() error) (err error) {
	for range maxSwaps {
		if err = try(); !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrUnclear) {
			return err
		}
	}
	return err
}
