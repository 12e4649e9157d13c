package home

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// What another Space holds, as it said last in a feed that was followed, is kept
// in a file, for bundles to rest on:
//
//	held/<lineage, hexadecimal>        attestation, line break, document
//
// It is verified again whenever it is read.

// maxHeldFile bounds such a file, in bytes.
const maxHeldFile = signing.MaxAttestation + 1 + feed.MaxAccount

func (h *Home) heldFile(lineage trust.Lineage) string {
	return h.file("held", storage.Digest(lineage).Hex())
}

// Held returns the newest holdings of a Space that came here in a feed, not
// verified; fs.ErrNotExist where none did.
func (h *Home) Held(lineage trust.Lineage) (att signing.Attestation, document []byte, err error) {
	file := h.heldFile(lineage)
	raw, err := ReadFile(file, maxHeldFile)
	if err != nil {
		return att, nil, err
	}
	stated, document, ok := bytes.Cut(raw, []byte("\n"))
	if !ok {
		return att, nil, fmt.Errorf("%s: is cut off", file)
	}
	if att, err = signing.ParseAttestation(stated); err != nil {
		return att, nil, fmt.Errorf("%s: %w", file, err)
	}
	return att, document, nil
}

// LearnHeld keeps the newest holdings of a feed that f followed to s, unless
// newer ones are kept.
func (h *Home) LearnHeld(ctx context.Context, f *feed.Follower, s *feed.State) error {
	for row := range s.Index.Others(signing.Holdings, 0) {
		kept, document, err := h.Held(s.Lineage)
		if err == nil && kept.ID() == row.ID {
			return nil
		}
		if err == nil {
			if _, _, err := feed.OpenHoldings(f.View.History(), kept, document); err != nil {
				document = nil // kept by a key that was revoked since
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return f.Statements(ctx, s, []feed.Row{row}, func(_ feed.Row, v trust.Verified, att signing.Attestation) error {
			return h.keepHeld(ctx, f, s, v, att, document)
		})
	}
	return nil
}

func (h *Home) keepHeld(ctx context.Context, f *feed.Follower, s *feed.State, v trust.Verified, att signing.Attestation, kept []byte) error {
	account, err := feed.ReadAccount(ctx, f.Source, s.ID, v)
	if err != nil {
		return err
	}
	if earlier, err := feed.ParseAccount(kept); err == nil && earlier.Time > account.Time {
		return nil
	}
	document, err := account.Format()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(h.file("held"), 0o700); err != nil {
		return err
	}
	return storage.ReplaceFile(h.heldFile(s.Lineage), slices.Concat(att.Bytes(), []byte("\n"), document), 0o600)
}
