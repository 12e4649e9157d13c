package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// FAT32 is the largest file that a stick as it is sold can hold, in bytes: the
// size of volumes where none is asked for.
const FAT32 = 4<<30 - 1

// Options says what a bundle is to carry, for whom and how.
type Options struct {
	Creator, Audience Party
	// Bound is the feed of its own under which the creator signs.
	Bound trust.Bound
	Feeds []Feed
	// Carry, where set, reports whether the payloads of a publication travel.
	// Statements travel whatever it says.
	Carry func(id feed.ID, r feed.Row) bool

	// Scans, where set, returns what a scanner here found clean of packages that are
	// to be carried. An error of its ends the plan.
	Scans func(ctx context.Context, f Feed, rows []feed.Row) ([]Scan, error)

	MaxVolume int64 // bytes; 0 stands for FAT32
	Block     int64 // bytes, a multiple of 512; 0 stands for 1 MiB
	// Parity is how much of all that is written may be lost or damaged, in
	// percent up to 50. Where it is at least one volume's share, any one volume
	// may be lost.
	Parity int
	// EncryptTo is a native age recipient; empty for none.
	EncryptTo             string
	Label, Classification string
	Created, Expires      time.Time // Expires may be zero
	// Spool is a folder for deltas, which are made to know their sizes. Empty
	// stands for none: then payloads travel whole.
	Spool string
}

// Feed is a feed to carry: up to what was accepted, from what the receiver has.
type Feed struct {
	State  *feed.State
	Source feed.Source // with Chunks, large payloads travel in frames
	Have   Have
}

// Have is what the receiver holds of a feed, by its own holdings. The zero Have
// is nothing.
type Have struct {
	Size int64     // entries that it accepted
	Root tlog.Hash // of them
	// Packages names what it took, which is not carried. The value says whether
	// the files lie there, for others to be made from: a program that was handed a
	// package may have kept none.
	Packages map[HeldVersion]bool
}

// HeldVersion is a version of a package that the receiver took. Its manifest
// alone would not do: one manifest may be published under several names, and
// who took it under one has nothing under the others.
type HeldVersion struct {
	Ref      feed.Ref
	Manifest storage.Digest
}

// took reports whether the receiver took the package of a publication, and
// whether its files lie there.
func (h Have) took(r feed.Row) (files, took bool) {
	files, took = h.Packages[HeldVersion{r.Ref, r.Manifest}]
	return files, took
}

// Plan is a bundle of which everything is known but the bytes.
type Plan struct {
	Document *Document // with the digest of the tables missing
	Parts    []Part
	// Packages lists what is carried whole, by feed in the order of Document.
	Packages [][]feed.Row
	// LeftOut counts live packages that Carry refused.
	LeftOut int

	content []func(ctx context.Context) (io.ReadCloser, error)
	layout  *layout
	bound   trust.Bound
	close   []func() error
}

// Prepare reads what is needed to know what a bundle will hold: all statements
// and manifests, and the sizes of the rest. The same options over the same
// feeds give the same plan. Close it when it is written.
func Prepare(ctx context.Context, o Options) (*Plan, error) {
	pl := &planner{Options: o, plan: &Plan{bound: o.Bound}, carried: map[objectKey]bool{}}
	if err := pl.prepare(ctx); err != nil {
		return nil, errors.Join(err, pl.plan.Close())
	}
	return pl.plan, nil
}

// Close removes what was spooled.
func (p *Plan) Close() error {
	var all error
	for _, c := range p.close {
		all = errors.Join(all, c())
	}
	p.close = nil
	return all
}

// Sizes returns the bytes of each volume, as they will be.
func (p *Plan) Sizes() []int64 {
	out := make([]int64, p.Document.Volumes.Count)
	for v := range out {
		out[v] = p.layout.size(v)
	}
	return out
}

// Bytes is the sum of Sizes.
func (p *Plan) Bytes() int64 {
	var sum int64
	for _, n := range p.Sizes() {
		sum += n
	}
	return sum
}

// room is what the folder must have free: the volumes, and what lies beside.
func (p *Plan) room() int64 { return p.Bytes() + 1<<20 + int64(digestSize)*p.layout.blocks() }

// SurvivesLoss reports whether any one volume may be lost.
func (p *Plan) SurvivesLoss() bool { return p.layout.survivesLoss() }

func (l *layout) survivesLoss() bool {
	return l.doc.Parity != nil && l.parityBlocks() >= min(l.perVolume(), l.dataBlocks())
}

// key names the plan: another run with the same key writes the same bytes, but
// for signatures, times and encryption.
func (p *Plan) key() storage.Digest {
	d := *p.Document
	d.Created, d.Tables.Digest = "2026-01-01T00:00:00Z", storage.DigestOf((&Tables{Parts: p.Parts}).Format())
	raw, _ := signing.MarshalCanonical(&d) // it was formatted before
	return storage.DigestOf(raw)
}

// planner gathers parts.
type planner struct {
	Options
	plan    *Plan
	carried map[objectKey]bool // objects that have a part already
}

// objectKey names an object: there is no reading across Spaces.
type objectKey struct {
	space  trust.Space
	digest storage.Digest
}

func (pl *planner) prepare(ctx context.Context) error {
	pl.Feeds = slices.SortedFunc(slices.Values(pl.Feeds), func(a, b Feed) int {
		return strings.Compare(a.State.ID.String(), b.State.ID.String())
	})
	doc := &Document{APIVersion: apiVersion, Kind: documentKind, Audience: pl.Audience, Creator: pl.Creator, Block: pl.Block,
		Classification: pl.Classification, Label: pl.Label, Created: signing.FormatTime(pl.Created)}
	if doc.Block == 0 {
		doc.Block = 1 << 20
	}
	if !pl.Expires.IsZero() {
		doc.Expires = signing.FormatTime(pl.Expires)
	}
	var err error
	if pl.EncryptTo != "" {
		if doc.Encryption, err = encryptTo(pl.EncryptTo); err != nil {
			return err
		}
	}
	pl.plan.Document = doc
	for i, f := range pl.Feeds {
		slice, err := f.slice()
		if err != nil {
			return err
		}
		doc.Feeds = append(doc.Feeds, slice)
		if err := pl.statements(ctx, i); err != nil {
			return fmt.Errorf("feed %s: %w", f.State.ID, err)
		}
	}
	for i, f := range pl.Feeds {
		if err := pl.packages(ctx, i); err != nil {
			return fmt.Errorf("feed %s: %w", f.State.ID, err)
		}
	}
	return pl.arrange()
}

// slice says what is carried of the feed.
func (f Feed) slice() (Slice, error) {
	s := Slice{Epoch: f.State.Epoch, Feed: f.State.ID, From: f.Have.Size, Lineage: f.State.Lineage, Note: string(f.State.Note), To: f.State.Edge.Size()}
	switch {
	case s.From > s.To:
		return s, &AheadError{Feed: s.Feed, Theirs: s.From, Ours: s.To}
	case s.From == s.To && f.Have.Root != f.State.Edge.Root():
		return s, &feed.RollbackError{ID: s.Feed, Seen: f.State.Checkpoint(), Got: feed.Checkpoint{Size: s.From, Root: f.Have.Root}, Fork: true}
	case s.From > 0:
		root := storage.Digest(f.Have.Root)
		s.Base = &root
	}
	return s, nil
}

// add adds a part.
func (pl *planner) add(p Part, content func(ctx context.Context) (io.ReadCloser, error)) {
	pl.plan.Parts = append(pl.plan.Parts, p)
	pl.plan.content = append(pl.plan.content, content)
}

// arrange cuts the parts into volumes. Frames hold tables whose size depends on
// the number of blocks, so it goes on until they fit.
func (pl *planner) arrange() error {
	limit := pl.MaxVolume
	if limit == 0 {
		limit = FAT32
	}
	if pl.Parity < 0 || pl.Parity > 50 {
		return fmt.Errorf("parity of %d %%, want 0 to 50", pl.Parity)
	}
	frame := frameSize(0, tablesSize(len(pl.plan.Parts), 0))
	for {
		need, err := pl.fit(limit, frame)
		if err != nil {
			return err
		}
		if need <= frame {
			return nil
		}
		frame = need
	}
}

// fit arranges the parts for frames of up to that many bytes, and returns how
// large they become.
func (pl *planner) fit(limit, frame int64) (need int64, err error) {
	doc := pl.plan.Document
	headers := (limit/maxEntry + 2) * tarBlock // of parity
	most := (limit - 2*frame - tarEnd - headers) / doc.Block
	if most < 1 || most*doc.Block < 2*tarBlock {
		return 0, &VolumeSizeError{Limit: limit, Least: 2*frame + tarEnd + headers + max(doc.Block, 2*tarBlock)}
	}
	doc.Parity = nil
	doc.Volumes = Volumes{Area: min(most*doc.Block, maxArea/doc.Block*doc.Block)}
	n := pl.volumes()
	if n == 1 || pl.Parity > 0 {
		// As small as will do, and all alike.
		doc.Volumes.Area = max(ceil(ceil(pl.total(), n), doc.Block), ceil(2*tarBlock, doc.Block)) * doc.Block
		for pl.volumes() > n {
			doc.Volumes.Area += doc.Block
		}
	}
	doc.Volumes.Count = int(n)
	if pl.Parity > 0 {
		pl.protect(n, most)
	}
	if doc.Volumes.Count > MaxVolumes {
		return 0, fmt.Errorf("%d volumes of at most %d bytes, at most %d are allowed", doc.Volumes.Count, limit, MaxVolumes)
	}
	if pl.plan.layout, err = newLayout(doc, pl.plan.Parts, 0); err != nil {
		return 0, err
	}
	if pl.plan.layout.blocks() > int64(maxBlocks) {
		return 0, fmt.Errorf("%d blocks of %d bytes, at most %d are allowed", pl.plan.layout.blocks(), doc.Block, maxBlocks)
	}
	doc.Tables.Size = tablesSize(len(pl.plan.Parts), int(pl.plan.layout.blocks()))
	raw, err := doc.Format()
	if err != nil {
		return 0, err
	}
	pl.plan.layout.frame = frameSize(int64(len(raw)), doc.Tables.Size)
	return pl.plan.layout.frame, nil
}

// total is how long the run of parts is, cut at the document's areas.
func (pl *planner) total() int64 {
	doc := *pl.plan.Document
	doc.Volumes.Count = math.MaxInt32 // any
	l := &layout{doc: &doc, parts: pl.plan.Parts, starts: make([]int64, len(pl.plan.Parts))}
	for i := range l.parts {
		l.starts[i] = l.total
		for s := range l.slices(i) {
			l.total = s.at + tarBlock + padded(s.size)
		}
	}
	return l.total
}

// volumes is how many volumes the parts fill.
func (pl *planner) volumes() int64 { return max(1, ceil(pl.total(), pl.plan.Document.Volumes.Area)) }

// goodGroup is how many blocks of data a parity group has at most: enough for
// damage anywhere, few enough to be fast.
const goodGroup = 100

// protect adds parity to n volumes of data, none with more than most blocks.
//
// Block i is in group i mod G, so a volume of b neighbouring blocks has at most
// b/G blocks, rounded up, in any group: with M parity blocks a group, any volume
// may be lost where M·G is at least b. With M a divisor of b, M·G = b fills one
// volume exactly.
func (pl *planner) protect(n, most int64) {
	doc := pl.plan.Document
	for shards := int64(goodGroup); ; shards-- {
		least := ceil(ceil(pl.total(), n), doc.Block)
		doc.Volumes.Area = ceil(max(least, ceil(2*tarBlock, doc.Block)), shards) * shards * doc.Block
		for pl.volumes() > n {
			doc.Volumes.Area += shards * doc.Block
		}
		per := doc.Volumes.Area / doc.Block
		blocks := max(1, ceil(pl.total(), doc.Block))
		want := max(1, ceil(blocks*int64(pl.Parity), 100-int64(pl.Parity)))
		groups := ceil(want, shards)
		data := ceil(blocks, groups)
		if shards > 1 && (data > goodGroup || per > most || shards*groups > ceil(want, per)*per || shards > want) {
			continue
		}
		doc.Parity = &Parity{Data: int(data), Groups: int(groups), Shards: int(shards)}
		doc.Volumes.Parity = int(ceil(shards*groups, per))
		doc.Volumes.Count = int(n) + doc.Volumes.Parity
		return
	}
}
