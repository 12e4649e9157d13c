//go:build unix

package apply

import (
	"bytes"
	"errors"
	"testing"

	"airlock/storage"
)

// TestExecOfAnotherVersion: what was applied is not guessed from a record of an
// unknown format, or of another feed.
func TestExecOfAnotherVersion(t *testing.T) {
	e := program(t, "true")
	s := newShelf(t, "acme/dev/shared")
	s.publish("k/a@1", files{"x": "1"})
	if _, _, err := s.pull(t.Context(), e, false); err != nil {
		t.Fatal(err)
	}
	r, err := e.load(t.Context(), s.id)
	if err != nil {
		t.Fatal(err)
	}
	good, tag, err := e.State.Cells.Load(t.Context(), r.key)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new string }{
		"another format": {execFormat, "airlock-applied 9"},
		"another feed":   {"acme/dev/shared", "acme/dev/other"},
	} {
		if tag, err = e.State.Cells.Swap(t.Context(), r.key, tag, bytes.Replace(good, []byte(c.old), []byte(c.new), 1)); err != nil {
			t.Fatal(err)
		}
		_, err := e.Installed(t.Context(), s.id)
		var unknown *storage.FormatError
		if err == nil || errors.As(err, &unknown) != (name == "another format") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
