package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"filippo.io/age"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// OpenOptions says how a bundle is read.
type OpenOptions struct {
	// ID selects one of several bundles; zero where there must be but one.
	ID ID
	// Key returns the key of an encrypted bundle's recipient. It is asked once,
	// for the first part that is read, and not where the bundle is not
	// encrypted. Its error is that of whatever is read.
	Key func(recipient string) (age.Identity, error)
	// Base, where set, opens a payload that the receiver holds, for deltas and
	// for what was not carried since it is held.
	Base func(ctx context.Context, payload storage.Digest) (io.ReaderAt, int64, io.Closer, error)
}

// Bundle is a bundle that is read. It is a feed.Source of the entries that it
// carries. What it returns matches the document, which nobody has verified yet:
// a Follower checks entries and payloads, Authenticate the document itself.
//
// A Bundle never writes. Its methods may be called concurrently.
type Bundle struct {
	carried
	manifest *manifest
	tables   *Tables
	layout   *layout
	set      *Set
	unread   []Unread
	options  OpenOptions

	files  []*os.File // nil where a volume is missing
	blocks *blockCache
	key    func() (age.Identity, error) // nil where it is not encrypted
}

// Open opens the bundle at paths: files, or folders that hold volumes.
func Open(ctx context.Context, paths []string, o OpenOptions) (*Bundle, error) {
	set, unread, err := choose(ctx, paths, o.ID)
	if err != nil {
		return nil, err
	}
	b := &Bundle{carried: carried{id: set.ID, doc: set.Document, hold: o.Base}, manifest: set.head.manifest, set: set, unread: unread, options: o, files: make([]*os.File, len(set.Volumes))}
	if b.manifest.tables, b.tables, err = set.tables(); err != nil {
		return nil, fmt.Errorf("bundle %s: %w", b.id.Short(), err)
	}
	if b.layout, err = newLayout(set.Document, b.tables.Parts, set.head.frame); err != nil {
		return nil, malformed("bundle %s: %w", b.id.Short(), err)
	}
	if got, want := int64(len(b.tables.Blocks)), b.layout.blocks(); got != want {
		return nil, malformed("bundle %s: digests of %d blocks, there are %d", b.id.Short(), got, want)
	}
	b.claim()
	for v, path := range set.Volumes {
		if path == "" {
			continue
		}
		if b.files[v], err = os.Open(path); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	b.blocks = newBlockCache(b)
	if e := set.Document.Encryption; e != nil {
		b.key = sync.OnceValues(func() (age.Identity, error) { return e.key(o.Key) })
	}
	b.list, b.open = b.tables.Parts, b.part
	b.index()
	return b, nil
}

// claim takes files in that lost both their frames, and have the name of a volume
// that is not here otherwise: their blocks may still be good.
func (b *Bundle) claim() {
	b.unread = slices.DeleteFunc(b.unread, func(u Unread) bool {
		for v, path := range b.set.Volumes {
			if path == "" && filepath.Base(u.Path) == fileName(b.manifest.doc, b.id, v) {
				b.set.Volumes[v] = u.Path
				return true
			}
		}
		return false
	})
}

// Close releases the volumes.
func (b *Bundle) Close() error {
	if b.blocks != nil {
		b.blocks.ahead.Wait()
	}
	var all error
	for _, f := range b.files {
		if f != nil {
			all = errors.Join(all, f.Close())
		}
	}
	return all
}

// ID is the SHA-256 of the document.
func (b *Bundle) ID() ID { return b.id }

// Document says what the bundle is. It is not to be changed.
func (b *Bundle) Document() *Document { return b.manifest.doc }

// Parts lists what is in it.
func (b *Bundle) Parts() []Part { return b.tables.Parts }

// Set says which volumes are here.
func (b *Bundle) Set() *Set { return b.set }

// Unread lists files that were named as volumes and are none that can be read.
func (b *Bundle) Unread() []Unread { return b.unread }

// Attestation is the creator's statement about the document, not verified.
func (b *Bundle) Attestation() signing.Attestation {
	a, _ := signing.ParseAttestation(b.manifest.stated) // newManifest did
	return a
}

// Authenticate reports whether the creator made the bundle, by what is known of
// it in view. It is asked after the feeds were synced, for the key that signed
// may be listed in what the bundle itself carries.
func (b *Bundle) Authenticate(view *trust.View) (trust.Verified, error) {
	doc, history := b.manifest.doc, view.History()
	if doc.Creator.Lineage != history.Lineage() {
		return trust.Verified{}, &trust.DeniedError{Reason: trust.Untrusted, Rule: "lineage", Thing: "bundle " + b.id.Short(),
			Why: fmt.Sprintf("says that it was made by %s, lineage %s, and %s is lineage %s", doc.Creator.Space, doc.Creator.Lineage, history.Space(), history.Lineage())}
	}
	a := b.Attestation()
	st, err := signing.ParseStatement(a.Payload())
	if err != nil {
		return trust.Verified{}, err
	}
	var bound trust.Bound
	if err := signing.UnmarshalCanonical(st.Predicate, &bound); err != nil {
		return trust.Verified{}, malformed("bundle %s: predicate: %w", b.id.Short(), err)
	}
	return view.Verify(a, trust.Want{Kind: signing.Bundle, Subject: storage.Digest(b.id)},
		trust.Position{Feed: bound.Feed, Epoch: bound.Epoch, Index: trust.AtEnd})
}
