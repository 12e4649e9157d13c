package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Bounds of a bundle.
const (
	MaxDocument = 1 << 20 // bytes of the document
	MaxFeeds    = 256
	MaxVolumes  = 999
	maxText     = 200 // bytes of a label or classification
)

// Document says what a bundle is: canonical JSON, members in this order, the
// same in every volume; testdata/document.json is one. Its SHA-256 is the
// bundle's [ID], and the subject of the statement of kind bundle that its
// creator signs. It binds every byte of the medium: of the data by the digests
// in the tables, of all else because it follows from document, tables and
// statement.
type Document struct {
	APIVersion     string      `json:"apiVersion"` // "airlock.example/v1"
	Audience       Party       `json:"audience"`
	Block          int64       `json:"block"` // bytes of a block, a multiple of 512
	Classification string      `json:"classification,omitempty"`
	Created        string      `json:"created"` // RFC 3339, UTC, seconds: the creator's clock
	Creator        Party       `json:"creator"`
	Encryption     *Encryption `json:"encryption,omitempty"`
	Expires        string      `json:"expires,omitempty"` // RFC 3339, UTC
	Feeds          []Slice     `json:"feeds"`
	Kind           string      `json:"kind"` // "Bundle"
	Label          string      `json:"label,omitempty"`
	Parity         *Parity     `json:"parity,omitempty"`
	Tables         storage.Ref `json:"tables"`
	Volumes        Volumes     `json:"volumes"`
}

// Party is a Space that makes or receives a bundle. The lineage decides, the
// name is for people.
type Party struct {
	Lineage trust.Lineage `json:"lineage"`
	Space   string        `json:"space"`
}

func (p Party) check() error {
	if _, err := trust.ParseSpace(p.Space); err != nil || strings.Contains(p.Space, "://") {
		return fmt.Errorf("space %.150q: want <organisation>/<space>", p.Space)
	}
	return nil
}

// Slice is what a bundle carries of a feed: the entries from From up to (not
// including) To, all of them.
type Slice struct {
	// Base is the root at From, which the receiver must have; absent at 0.
	Base    *storage.Digest `json:"base,omitempty"`
	Epoch   uint64          `json:"epoch"`
	Feed    feed.ID         `json:"feed"`
	From    int64           `json:"from"`
	Lineage trust.Lineage   `json:"lineage"`
	Note    string          `json:"note"` // checkpoint of To entries, a signed note
	To      int64           `json:"to"`
}

// Encryption says that every part is an age file of its own, for one receiver.
type Encryption struct {
	Header    int64  `json:"header"`    // bytes that a part's header and nonce take
	Recipient string `json:"recipient"` // native age recipient
}

// Parity says how blocks are protected, see doc.go.
type Parity struct {
	Data   int `json:"data"`   // data blocks of a group, at most
	Groups int `json:"groups"` // block i is in group i mod Groups
	Shards int `json:"shards"` // parity blocks of a group
}

// Volumes says how the bundle is cut. All else follows from the parts.
type Volumes struct {
	Area   int64 `json:"area"`   // bytes of the data of a volume, the last may have less
	Count  int   `json:"count"`  // of all
	Parity int   `json:"parity"` // of which that many, the last ones, hold parity
}

const (
	apiVersion   = "airlock.example/v1"
	documentKind = "Bundle"
)

// ID is the SHA-256 of a bundle's document.
type ID storage.Digest

// String returns "sha256:" and 64 hexadecimal digits.
func (id ID) String() string { return storage.Digest(id).String() }

// Short returns the eight digits that file names carry.
func (id ID) Short() string { return storage.Digest(id).Hex()[:8] }

// Format checks d and returns its bytes.
func (d *Document) Format() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("bundle document: %w", err)
	}
	raw, err := signing.MarshalCanonical(d)
	if err == nil && len(raw) > MaxDocument {
		err = fmt.Errorf("bundle document: %d bytes, at most %d are allowed", len(raw), MaxDocument)
	}
	return raw, err
}

// ParseDocument reads what Format writes. Every error matches ErrMalformed.
func ParseDocument(b []byte) (*Document, error) {
	if len(b) > MaxDocument {
		return nil, malformed("bundle document: %d bytes, at most %d are allowed", len(b), MaxDocument)
	}
	d := &Document{}
	if err := signing.UnmarshalCanonical(b, d); err != nil {
		return nil, malformed("bundle document: %w", err)
	}
	if err := d.check(); err != nil {
		return nil, malformed("bundle document: %w", err)
	}
	return d, nil
}

func (d *Document) check() error {
	if d.APIVersion != apiVersion || d.Kind != documentKind {
		return fmt.Errorf("is %.60q %.60q, want %s %s", d.APIVersion, d.Kind, apiVersion, documentKind)
	}
	if _, err := signing.ParseTime(d.Created); err != nil {
		return fmt.Errorf("created: %w", err)
	}
	if _, err := signing.ParseTime(d.Expires); err != nil && d.Expires != "" {
		return fmt.Errorf("expires: %w", err)
	}
	if err := signing.CheckText(d.Label, maxText); err != nil {
		return fmt.Errorf("label: %w", err)
	}
	if err := signing.CheckText(d.Classification, maxText); err != nil {
		return fmt.Errorf("classification: %w", err)
	}
	for _, p := range []Party{d.Audience, d.Creator} {
		if err := p.check(); err != nil {
			return err
		}
	}
	if d.Tables.Size < 0 || d.Tables.Size > MaxTables {
		return fmt.Errorf("tables of %d bytes, at most %d are allowed", d.Tables.Size, MaxTables)
	}
	if d.Encryption != nil {
		if err := d.Encryption.check(); err != nil {
			return err
		}
	}
	if err := d.checkFeeds(); err != nil {
		return err
	}
	return d.checkGeometry()
}

func (d *Document) checkFeeds() error {
	if len(d.Feeds) == 0 || len(d.Feeds) > MaxFeeds {
		return fmt.Errorf("%d feeds, want 1 to %d", len(d.Feeds), MaxFeeds)
	}
	for i, s := range d.Feeds {
		if s.From < 0 || s.To < s.From || s.To < 1 || (s.Base == nil) != (s.From == 0) {
			return fmt.Errorf("feed %s: entries from %d to %d, with base: %t", s.Feed, s.From, s.To, s.Base != nil)
		}
		c, err := feed.ParseCheckpoint([]byte(s.Note))
		if err != nil {
			return fmt.Errorf("feed %s: %w", s.Feed, err)
		}
		if c.Origin != s.Feed.Origin(s.Epoch) || c.Size != s.To {
			return fmt.Errorf("feed %s: the checkpoint is of %.200q at %d, want %s at %d", s.Feed, c.Origin, c.Size, s.Feed.Origin(s.Epoch), s.To)
		}
		if i > 0 && d.Feeds[i-1].Feed.String() >= s.Feed.String() {
			return fmt.Errorf("feed %s: feeds must be sorted and named once", s.Feed)
		}
	}
	return nil
}

// checkGeometry bounds what later arithmetic is done with.
func (d *Document) checkGeometry() error {
	v := d.Volumes
	switch {
	case d.Block < tarBlock || d.Block > maxBlock || d.Block%tarBlock != 0:
		return fmt.Errorf("blocks of %d bytes, want a multiple of %d up to %d", d.Block, tarBlock, maxBlock)
	case v.Area < 2*tarBlock:
		return fmt.Errorf("volumes with %d bytes of data, want whole blocks of at least %d bytes", v.Area, 2*tarBlock)
	case v.Area > maxArea || v.Area%d.Block != 0:
		return fmt.Errorf("volumes with %d bytes of data, want whole blocks up to %d bytes", v.Area, int64(maxArea))
	case v.Count < 1 || v.Count > MaxVolumes || v.Parity < 0 || v.Parity >= v.Count:
		return fmt.Errorf("%d volumes, %d of them with parity; want 1 to %d", v.Count, v.Parity, MaxVolumes)
	case (d.Parity != nil) != (v.Parity > 0):
		return errors.New("parity without volumes for it, or the reverse")
	case d.Parity != nil && (d.Parity.Data < 1 || d.Parity.Shards < 1 || d.Parity.Data+d.Parity.Shards > maxShards || d.Parity.Groups < 1 || d.Parity.Groups > maxBlocks):
		return fmt.Errorf("parity of %d data and %d parity blocks in %d groups", d.Parity.Data, d.Parity.Shards, d.Parity.Groups)
	}
	return nil
}

// Statement returns the statement of kind bundle about a document of that id,
// bound to a feed of its creator.
func Statement(id ID, by trust.Bound) (signing.Statement, error) {
	predicate, err := signing.MarshalCanonical(by)
	return signing.Statement{Kind: signing.Bundle, Subject: storage.Digest(id), SubjectName: "bundle " + id.Short(), Predicate: json.RawMessage(predicate)}, err
}

// Slice returns what is carried of a feed.
func (d *Document) Slice(id feed.ID) (Slice, bool) {
	for _, s := range d.Feeds {
		if s.Feed == id {
			return s, true
		}
	}
	return Slice{}, false
}

// Full reports whether the receiver needs nothing but the bundle's feeds.
func (s Slice) Full() bool { return s.From == 0 }

// Checkpoint returns the checkpoint that the slice leads to, not verified.
func (s Slice) Checkpoint() feed.Checkpoint {
	c, _ := feed.ParseCheckpoint([]byte(s.Note)) // the document was checked
	return c
}

// Root is the root that the receiver must have at From.
func (s Slice) Root() tlog.Hash {
	if s.Base == nil {
		return feed.Edge{}.Root()
	}
	return tlog.Hash(*s.Base)
}

// CheckAudience reports a bundle that was made for another Space than ours.
func (d *Document) CheckAudience(ours trust.Lineage) error {
	if d.Audience.Lineage != ours {
		return &AudienceError{For: d.Audience, Ours: ours}
	}
	return nil
}

// CheckExpiry reports a bundle that was to be taken in by an earlier time.
func (d *Document) CheckExpiry(now time.Time) error {
	if until, err := signing.ParseTime(d.Expires); err == nil && now.After(until) {
		return &ExpiredError{Until: until}
	}
	return nil
}
