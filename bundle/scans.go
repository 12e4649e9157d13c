package bundle

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// Scan says that a scanner of the maker found a package clean. It is the maker's
// word, as good as the maker's statement about the bundle, and counts for nothing
// where a scan is asked for.
type Scan struct {
	Manifest storage.Digest `json:"manifest"`
	Said     string         `json:"said,omitempty"` // the last line that the scanner wrote, at most 400 printable bytes
	Time     string         `json:"time"`           // RFC 3339, UTC, seconds: the maker's clock
}

// scansDoc is a part of kind Scans: canonical JSON of at most 256 KiB, about
// packages whose entries are in one segment; testdata/scans.json is one.
type scansDoc struct {
	Clean  []Scan `json:"clean"` // 1 to 256, sorted by manifest, none twice
	Format string `json:"format"`
}

const (
	scansFormat = "airlock-bundle-scans 1"
	maxScans    = 256 << 10 // bytes
	maxSaid     = 400
)

// formatScans returns the bytes of verdicts.
func formatScans(scans []Scan) ([]byte, error) {
	doc := scansDoc{Clean: scans, Format: scansFormat}
	if err := doc.check(); err != nil {
		return nil, fmt.Errorf("bundle scans: %w", err)
	}
	return signing.MarshalCanonical(doc)
}

// parseScans reads what formatScans writes. Every error matches ErrMalformed.
func parseScans(b []byte) ([]Scan, error) {
	var doc scansDoc
	if len(b) > maxScans {
		return nil, malformed("bundle scans: %d bytes, at most %d are allowed", len(b), maxScans)
	}
	if err := signing.UnmarshalCanonical(b, &doc); err != nil {
		return nil, malformed("bundle scans: %w", err)
	}
	if err := doc.check(); err != nil {
		return nil, malformed("bundle scans: %w", err)
	}
	return doc.Clean, nil
}

func (d scansDoc) check() error {
	if d.Format != scansFormat {
		return fmt.Errorf("format %.40q, want %q", d.Format, scansFormat)
	}
	if len(d.Clean) < 1 || len(d.Clean) > feed.SegmentSize {
		return fmt.Errorf("clean: %d packages, want 1 to %d", len(d.Clean), feed.SegmentSize)
	}
	for i, s := range d.Clean {
		if i > 0 && bytes.Compare(d.Clean[i-1].Manifest[:], s.Manifest[:]) >= 0 {
			return fmt.Errorf("clean[%d]: not in the order of manifests, or twice", i)
		}
		if err := signing.CheckText(s.Said, maxSaid); err != nil {
			return fmt.Errorf("clean[%d]: said: %w", i, err)
		}
		if _, err := signing.ParseTime(s.Time); err != nil {
			return fmt.Errorf("clean[%d]: time: %w", i, err)
		}
	}
	return nil
}

// scanned asks what a scanner here found clean, by manifest.
func (pl *planner) scanned(ctx context.Context, f Feed, rows []feed.Row) (map[storage.Digest]Scan, error) {
	if pl.Scans == nil {
		return nil, nil
	}
	all, err := pl.Scans(ctx, f, rows)
	out := map[storage.Digest]Scan{}
	for _, s := range all {
		out[s.Manifest] = s
	}
	return out, err
}

// scans plans what is carried of verdicts about packages of one segment.
func (pl *planner) scans(number int, start int64, rows []feed.Row, scanned map[storage.Digest]Scan) error {
	var carried []Scan
	for _, r := range rows {
		if s, ok := scanned[r.Manifest]; ok {
			carried = append(carried, s)
		}
	}
	if len(carried) == 0 {
		return nil
	}
	slices.SortFunc(carried, func(a, b Scan) int { return bytes.Compare(a.Manifest[:], b.Manifest[:]) })
	raw, err := formatScans(slices.Compact(carried)) // one package may have two names
	if err != nil {
		return err
	}
	pl.add(Part{Kind: Scans, Feed: number, First: start, Size: int64(len(raw)), Of: storage.DigestOf(raw)},
		func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil })
	return nil
}

// Scans returns what the maker says that its scanner found clean of a feed, by
// manifest.
func (b *Bundle) Scans(id feed.ID) (map[storage.Digest]Scan, error) {
	out := map[storage.Digest]Scan{}
	for i, p := range b.tables.Parts {
		if p.Kind != Scans || b.manifest.doc.Feeds[p.Feed].Feed != id {
			continue
		}
		raw, err := b.partBytes(i)
		if err != nil {
			return nil, err
		}
		scans, err := parseScans(raw)
		if err != nil {
			return nil, fmt.Errorf("bundle %s: part %d: %w", b.id.Short(), i, err)
		}
		for _, s := range scans {
			out[s.Manifest] = s
		}
	}
	return out, nil
}
