package kind

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"unicode/utf8"
)

// Op says what happened to a thing.
type Op string

const (
	Added   Op = "added"
	Changed Op = "changed"
	Removed Op = "removed"
)

// Change is one difference that people can read. Old and New are what it was
// and is, in one line; where a long text changed, Old is empty and New holds
// the changed lines as in a unified diff. A sensitive value appears in neither.
type Change struct {
	Op       Op
	What     string
	Old, New string
}

// hidden stands for a value that is sensitive in either version.
const hidden = "(sensitive)"

// Diff says what changed from old to new, two valid contents of one kind. It is
// empty only for equal bytes; a change of layout alone is said to be one.
func Diff(kind, file string, old, new []byte) ([]Change, error) {
	_, before, err := inspect(kind, file, old)
	if err != nil {
		return nil, fmt.Errorf("old version: %w", err)
	}
	_, after, err := inspect(kind, file, new)
	if err != nil {
		return nil, fmt.Errorf("new version: %w", err)
	}
	if bytes.Equal(old, new) {
		return nil, nil
	}
	if before == nil {
		return diffOpaque(old, new), nil
	}
	d, _ := lookup(kind)
	changes := d.diff(before, after)
	if len(changes) == 0 {
		changes = []Change{{Op: Changed, What: "layout only (white space, comments or the order of fields)"}}
	}
	return changes, nil
}

// diffOpaque compares text by lines and other bytes by size and digest.
func diffOpaque(old, new []byte) []Change {
	if isShortText(old) && isShortText(new) {
		return []Change{{Op: Changed, What: "content", New: hunks(printable(string(old)), printable(string(new)))}}
	}
	describe := func(data []byte) string {
		return fmt.Sprintf("%d bytes, sha256:%x", len(data), sha256.Sum256(data))
	}
	return []Change{{Op: Changed, What: "content", Old: describe(old), New: describe(new)}}
}

func isShortText(data []byte) bool {
	return len(data) <= 1<<20 && utf8.Valid(data) && !bytes.ContainsRune(data, 0)
}
