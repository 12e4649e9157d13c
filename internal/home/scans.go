package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// What scanners here said of a package lies in a file, which is replaced as a
// whole:
//
//	scans/<manifest, hexadecimal>.json
//
// It is canonical JSON of at most 32 KiB, testdata/scans.json is one. Nothing
// that comes from elsewhere is ever written there. Where two processes scan one
// package at once the word of one may be lost, and it is asked again.

// Bounds of the verdicts about a package.
const (
	// MaxScanner bounds a scanner's command line, in bytes.
	MaxScanner = 1000
	maxScans   = 8 // command lines; the one heard longest ago gives way
	maxSaid    = 400
	maxScanned = 32 << 10
)

const scansFormat = "airlock-scans 1"

// scansDoc is what lies in the file.
type scansDoc struct {
	Format   string         `json:"format"`
	Manifest storage.Digest `json:"manifest"`
	Scans    []scanDoc      `json:"scans"` // the newest first, one for each command line
}

type scanDoc struct {
	Command string `json:"command"`
	Said    string `json:"said,omitempty"`
	Time    string `json:"time"`    // RFC 3339, UTC, to the second
	Verdict string `json:"verdict"` // "clean" or "refused"
}

const (
	cleanVerdict   = "clean"
	refusedVerdict = "refused"
)

// ScansFileError reports a file of verdicts that was changed or is of another
// version.
type ScansFileError struct {
	Path string
	Err  error
}

func (e *ScansFileError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the bytes.
func (e *ScansFileError) Unwrap() error { return e.Err }

// Hint is what to do next.
func (e *ScansFileError) Hint() string {
	return "it was changed, or is of another version of airlock: move it away, and the package is scanned again"
}

func (h *Home) scansFile(manifest storage.Digest) string {
	return h.file("scans", manifest.Hex()+".json")
}

// Scans returns what scanners here said of a package, the newest word of each,
// newest first; none where none has seen it. A damaged file is a *ScansFileError.
func (h *Home) Scans(manifest storage.Digest) ([]trust.Scan, error) {
	path := h.scansFile(manifest)
	b, err := ReadFile(path, maxScanned)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	scans, err := parseScans(manifest, b)
	if err != nil {
		return nil, &ScansFileError{path, err}
	}
	return scans, nil
}

// KeepScan keeps the word of a scanner about a package, durable on return, in
// the place of what the same command line said before.
func (h *Home) KeepScan(manifest storage.Digest, s trust.Scan) error {
	all, err := h.Scans(manifest)
	if err != nil {
		return err
	}
	s.Time = s.Time.UTC().Truncate(time.Second)
	all = slices.DeleteFunc(all, func(old trust.Scan) bool { return old.Command == s.Command })
	if len(all) > 0 && s.Time.Before(all[0].Time) {
		s.Time = all[0].Time // the clock was put back; it is the newest all the same
	}
	all = slices.Insert(all, 0, s)
	b, err := formatScans(manifest, all[:min(len(all), maxScans)])
	if err != nil {
		return err
	}
	if err := os.MkdirAll(h.file("scans"), 0o700); err != nil {
		return err
	}
	return storage.ReplaceFile(h.scansFile(manifest), b, 0o600)
}

func formatScans(manifest storage.Digest, scans []trust.Scan) ([]byte, error) {
	doc := scansDoc{Format: scansFormat, Manifest: manifest, Scans: []scanDoc{}}
	for _, s := range scans {
		d := scanDoc{Command: s.Command, Said: s.Said, Time: signing.FormatTime(s.Time), Verdict: refusedVerdict}
		if s.Clean {
			d.Verdict = cleanVerdict
		}
		doc.Scans = append(doc.Scans, d)
	}
	if _, err := doc.scans(manifest); err != nil {
		return nil, err
	}
	return signing.MarshalCanonical(doc)
}

func parseScans(manifest storage.Digest, b []byte) ([]trust.Scan, error) {
	var doc scansDoc
	if err := signing.UnmarshalCanonical(b, &doc); err != nil {
		return nil, err
	}
	return doc.scans(manifest)
}

// scans checks the document and returns what it says.
func (doc scansDoc) scans(manifest storage.Digest) ([]trust.Scan, error) {
	if doc.Format != scansFormat {
		return nil, fmt.Errorf("format %.40q, want %q", doc.Format, scansFormat)
	}
	if doc.Manifest != manifest {
		return nil, fmt.Errorf("is about manifest %s", doc.Manifest)
	}
	if len(doc.Scans) == 0 || len(doc.Scans) > maxScans {
		return nil, fmt.Errorf("scans: %d, want 1 to %d", len(doc.Scans), maxScans)
	}
	var out []trust.Scan
	for i, d := range doc.Scans {
		s, err := d.scan()
		if err == nil && slices.ContainsFunc(out, func(o trust.Scan) bool { return o.Command == s.Command }) {
			err = errors.New("command twice")
		}
		if err == nil && i > 0 && s.Time.After(out[i-1].Time) {
			err = errors.New("is newer than the one before")
		}
		if err != nil {
			return nil, fmt.Errorf("scans[%d]: %w", i, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func (d scanDoc) scan() (trust.Scan, error) {
	s := trust.Scan{Command: d.Command, Clean: d.Verdict == cleanVerdict, Said: d.Said}
	if err := CheckScanner(d.Command); err != nil {
		return s, err
	}
	if err := signing.CheckText(d.Said, maxSaid); err != nil {
		return s, fmt.Errorf("said: %w", err)
	}
	if d.Verdict != cleanVerdict && d.Verdict != refusedVerdict {
		return s, fmt.Errorf("verdict %.40q, want %s or %s", d.Verdict, cleanVerdict, refusedVerdict)
	}
	var err error
	if s.Time, err = signing.ParseTime(d.Time); err != nil {
		return s, fmt.Errorf("time: %w", err)
	}
	return s, nil
}

// CheckScanner refuses command lines that are not kept: each verdict goes with
// the one that gave it.
func CheckScanner(command string) error {
	if strings.TrimSpace(command) == "" || signing.CheckText(command, MaxScanner) != nil {
		return fmt.Errorf("command %.60q: want one line of at most %d printable bytes", command, MaxScanner)
	}
	return nil
}
