package feed

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// State is what a follower keeps of a feed: what it has seen and accepted
// ("seen"), and apart from that how far it was applied ("applied"). It lives
// in a cell of the follower's home:
//
//	"airlock-state 1\n"
//	length (4 bytes, big-endian), canonical JSON (see stateDoc)
//	index page with the entries after the last full page
//
// Full index pages lie beside it as files, named by their digests. The cell is
// swapped as a whole, so size, root, edge and index always belong together.
type State struct {
	ID      ID
	Lineage trust.Lineage
	Epoch   uint64
	LogKey  []byte
	Edge    Edge
	Note    []byte // the checkpoint that was accepted, verbatim
	InForce []InForce
	// Identity is the newest identity version that was known when the entries
	// were judged: a revocation after it reaches back.
	Identity int
	SeenAt   time.Time
	Index    *Index

	pending []signing.Attestation // see fold.pending
	tag     string
	pages   []storage.Digest // full index pages that are kept as files
}

const (
	stateHeader = "airlock-state 1\n"
	maxStateDoc = 4 << 20
)

// stateDoc is the JSON part of a state.
type stateDoc struct {
	Edge     []storage.Digest `json:"edge"`
	Epoch    uint64           `json:"epoch"`
	Feed     ID               `json:"feed"`
	Identity int              `json:"identity"`
	InForce  []InForce        `json:"inForce"`
	Lineage  trust.Lineage    `json:"lineage"`
	LogKey   []byte           `json:"logKey"`
	Note     []byte           `json:"note"`
	Pages    []storage.Digest `json:"pages"`
	Pending  [][]byte         `json:"pending,omitempty"` // attestations
	SeenAt   string           `json:"seenAt"`
	Size     int64            `json:"size"`
}

// Checkpoint returns the checkpoint that was accepted.
func (s *State) Checkpoint() Checkpoint {
	c, _ := ParseCheckpoint(s.Note) // accepted once, so it parses
	return c
}

// At returns the position of an entry of the feed.
func (s *State) At(index int64) trust.Position {
	return trust.Position{Feed: s.ID.String(), Epoch: s.Epoch, Index: index}
}

// Item returns what a policy is asked about a publication or withdrawal.
func (s *State) Item(r Row) trust.Item {
	right := trust.MayPublish
	if r.What == IsWithdrawal {
		right = trust.MayWithdraw
	}
	return trust.Item{Feed: s.ID.Name, Kind: r.Ref.Kind, Name: r.Ref.Name, Version: r.Ref.Version, Right: right,
		Statement: r.ID, At: s.At(r.Index), Leaf: int(r.Leaf), Manifest: r.Manifest}
}

func stateKey(lineage trust.Lineage, id ID) string {
	return fmt.Sprintf("seen/%s/%s", storage.Digest(lineage).Hex(), id.Name)
}

// pageKey holds the digest too: what a page says of an entry may change, when a
// key is revoked, and the files of a store never do.
func pageKey(lineage trust.Lineage, id ID, epoch uint64, n int, d storage.Digest) string {
	return fmt.Sprintf("index/%s/%s/e%d/%06d-%s", storage.Digest(lineage).Hex(), id.Name, epoch, n, d.Hex())
}

func (s *State) format() ([]byte, error) {
	doc := stateDoc{
		Edge: make([]storage.Digest, 0, len(s.Edge.Hashes())), Epoch: s.Epoch, Feed: s.ID, Identity: s.Identity, InForce: s.InForce,
		Lineage: s.Lineage, LogKey: s.LogKey, Note: s.Note, Pages: s.pages, SeenAt: signing.FormatTime(s.SeenAt), Size: s.Edge.Size(),
	}
	for _, h := range s.Edge.Hashes() {
		doc.Edge = append(doc.Edge, storage.Digest(h))
	}
	for _, a := range s.pending {
		doc.Pending = append(doc.Pending, a.Bytes())
	}
	raw, err := signing.MarshalCanonical(doc)
	if err != nil {
		return nil, err
	}
	out := binary.BigEndian.AppendUint32([]byte(stateHeader), uint32(len(raw)))
	return append(append(out, raw...), s.Index.Tail()...), nil
}

// parseState reads a cell; page returns full index pages.
func parseState(b []byte, page func(s *State, n int) ([]byte, error)) (*State, error) {
	rest, ok := bytes.CutPrefix(b, []byte(stateHeader))
	if !ok || len(rest) < 4 {
		return nil, &storage.FormatError{Where: "state of a feed", Got: fmt.Sprintf("%.20q", b), Want: stateHeader}
	}
	n := int64(binary.BigEndian.Uint32(rest))
	if rest = rest[4:]; n > maxStateDoc || n > int64(len(rest)) {
		return nil, errors.New("state of a feed: cut off")
	}
	var doc stateDoc
	if err := signing.UnmarshalCanonical(rest[:n], &doc); err != nil {
		return nil, fmt.Errorf("state of a feed: %w", err)
	}
	s, err := doc.state()
	if err != nil {
		return nil, fmt.Errorf("state of feed %s: %w", doc.Feed, err)
	}
	for i, want := range s.pages {
		p, err := page(s, i)
		if err == nil && storage.DigestOf(p) != want {
			err = &storage.DigestError{Want: want, Got: storage.DigestOf(p)}
		}
		if err == nil {
			err = s.Index.AddPage(p)
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.New("is missing") // absence must not pass for a feed that was never seen
		}
		if err != nil {
			return nil, fmt.Errorf("state of feed %s: page %d: %w", s.ID, i, err)
		}
	}
	if err := s.Index.AddPage(rest[n:]); err != nil {
		return nil, fmt.Errorf("state of feed %s: %w", s.ID, err)
	}
	if s.Index.Size() != doc.Size || s.Index.FullPages() != len(s.pages) {
		return nil, fmt.Errorf("state of feed %s: index of %d entries, size %d", s.ID, s.Index.Size(), doc.Size)
	}
	return s, nil
}

// state returns what the JSON part says.
func (doc *stateDoc) state() (*State, error) {
	s := &State{ID: doc.Feed, Lineage: doc.Lineage, Epoch: doc.Epoch, LogKey: doc.LogKey, Note: doc.Note, InForce: doc.InForce,
		Identity: doc.Identity, Index: NewIndex(), pages: doc.Pages}
	var err error
	if s.SeenAt, err = signing.ParseTime(doc.SeenAt); err != nil {
		return nil, err
	}
	hashes := make([]tlog.Hash, len(doc.Edge))
	for i, d := range doc.Edge {
		hashes[i] = tlog.Hash(d)
	}
	if s.Edge, err = ParseEdge(doc.Size, hashes); err != nil {
		return nil, err
	}
	c, err := ParseCheckpoint(s.Note)
	if err != nil {
		return nil, err
	}
	if c.Size != doc.Size || c.Root != s.Edge.Root() {
		return nil, fmt.Errorf("edge of %d entries does not give the root of the checkpoint", doc.Size)
	}
	for _, raw := range doc.Pending {
		a, err := signing.ParseAttestation(raw)
		if err != nil {
			return nil, err
		}
		s.pending = append(s.pending, a)
	}
	return s, nil
}

// LoadState reads what is kept of a feed; fs.ErrNotExist where it is new.
func LoadState(ctx context.Context, store *storage.Store, lineage trust.Lineage, id ID) (*State, error) {
	value, tag, err := store.Cells.Load(ctx, stateKey(lineage, id))
	if err != nil {
		return nil, fmt.Errorf("state of feed %s: %w", id, err)
	}
	s, err := parseState(value, func(s *State, n int) ([]byte, error) {
		return store.Files.Get(ctx, pageKey(lineage, id, s.Epoch, n, s.pages[n]))
	})
	if err != nil {
		return nil, err
	}
	if s.Lineage != lineage || s.ID != id {
		return nil, fmt.Errorf("state of feed %s: is of feed %s, lineage %s", id, s.ID, s.Lineage)
	}
	s.tag = tag
	return s, nil
}

// save makes s the state, unless another process was faster.
func (s *State) save(ctx context.Context, store *storage.Store) error {
	pages := make([]storage.Digest, s.Index.FullPages())
	for n := range pages {
		pages[n] = s.Index.pages[n].digest()
		if n < len(s.pages) && s.pages[n] == pages[n] {
			continue
		}
		if err := store.Files.Create(ctx, pageKey(s.Lineage, s.ID, s.Epoch, n, pages[n]), s.Index.Page(n)); err != nil {
			return fmt.Errorf("state of feed %s: %w", s.ID, err)
		}
	}
	s.pages = pages
	value, err := s.format()
	if err != nil {
		return err
	}
	if s.tag, err = store.Cells.Swap(ctx, stateKey(s.Lineage, s.ID), s.tag, value); err != nil {
		return fmt.Errorf("state of feed %s: %w", s.ID, err)
	}
	return nil
}
