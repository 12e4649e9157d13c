package feed

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/signing"
	"airlock/storage"
)

// Source is where a feed is read from: a server, a store's folder or bucket,
// a bundle on a stick. Nothing it returns is believed before a Follower has
// checked it. A feed that the source does not have is fs.ErrNotExist.
type Source interface {
	// Checkpoint returns the newest checkpoint, not checked.
	Checkpoint(ctx context.Context, id ID) (Checkpoint, error)
	// Segments yields, in order and without gaps, segments that cover the
	// entries from up to (not including) to. The first may begin before from.
	Segments(ctx context.Context, id ID, from, to int64) iter.Seq2[Segment, error]
	// Object returns the bytes of an object from an offset on, not checked.
	Object(ctx context.Context, id ID, d storage.Digest, off int64) (io.ReadCloser, error)
}

// Packs is a Source that can hand out the small objects of a segment at once.
type Packs interface {
	// Pack returns a pack for the entries from up to (not including) to, which lie
	// in one segment. Objects may be missing from it.
	Pack(ctx context.Context, id ID, from, to int64) (*Pack, error)
}

// Tiles is a Source that has the log's hash tiles (height 8).
type Tiles interface {
	Tile(ctx context.Context, id ID, level int, n int64, width int) ([]byte, error)
}

// Waiter is a Source that can tell which of many feeds have grown.
type Waiter interface {
	// Heads returns the newest checkpoints, not checked, of those feeds that are
	// no longer of the size known, as soon as there is one; none where wait, ctx
	// or the source's own patience ends first. A wait of 0 asks and does not wait.
	// What the source does not have, or not for the caller, is left out; a feed that
	// comes to be meanwhile may be left to the next call.
	Heads(ctx context.Context, known map[ID]int64, wait time.Duration) (map[ID]Checkpoint, error)
}

// Publisher takes statements and the objects that they name.
type Publisher interface {
	// LogKey returns the public key that will sign the checkpoints of feeds
	// opened here, 32 bytes.
	LogKey(ctx context.Context) ([]byte, error)
	// Publish commits a batch, all of it or nothing. Publishing again what is
	// in already is harmless. Refusals are *VersionError, *ChainError,
	// *trust.DeniedError and others; see docs/formats.md.
	Publish(ctx context.Context, b Batch) (Accepted, error)
}

// Batch is what is published together.
type Batch struct {
	Feed       ID
	Epoch      uint64
	Statements []signing.Attestation
	// Objects holds what the statements name: identity documents, manifests,
	// payloads. What the store has already may be left out.
	Objects []Content
}

// Content is an object and where its bytes come from. Open is called once for
// each try and reads from the given offset.
type Content struct {
	storage.Ref
	Open func(off int64) (io.ReadCloser, error)
}

// Accepted is the answer to a Batch.
type Accepted struct {
	// Indices holds, for each statement, the index of its entry.
	Indices []int64
	// Added is the number of entries that were new. They are neighbours.
	Added int
	// Checkpoint covers them all.
	Checkpoint Checkpoint
	Epoch      uint64
	// Before is the edge of the feed before the first new entry, After the
	// leaf hashes that follow the last: with the new entries between, they
	// give the checkpoint's root, which proves that the entries are in.
	// Both are empty where some entries were not new.
	Before Edge
	After  []tlog.Hash
}

// Verify checks that the checkpoint is signed by the feed's key and that it
// covers the statements as new entries at the given indices.
func (a Accepted) Verify(id ID, logKey []byte, statements []signing.Attestation) error {
	c, err := OpenCheckpoint(a.Checkpoint.Note, id.Origin(a.Epoch), logKey)
	if err != nil {
		return err
	}
	if len(a.Indices) != len(statements) || a.Added != len(statements) {
		return fmt.Errorf("feed %s: the answer speaks of %d new entries, %d were sent", id, a.Added, len(statements))
	}
	edge := a.Before.Clone()
	for i, st := range statements {
		if a.Indices[i] != edge.Size() {
			return fmt.Errorf("feed %s: the answer puts entry %d at %d", id, edge.Size(), a.Indices[i])
		}
		edge.Append(LeafHash(st))
	}
	for _, leaf := range a.After {
		edge.Append(leaf)
	}
	if edge.Size() != c.Size || edge.Root() != c.Root {
		return fmt.Errorf("feed %s: %w: it does not cover the entries that were sent", id, ErrCheckpoint)
	}
	return nil
}

// MissingError reports a batch that names objects which are neither part of it
// nor in the store yet.
type MissingError struct{ Objects []storage.Ref }

func (e *MissingError) Error() string {
	return fmt.Sprintf("%d objects that the statements name have not arrived", len(e.Objects))
}
