package storage

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
)

// TestCheckedOnce reads an object that a store checks already: it is hashed once,
// and checked no less than any other.
func TestCheckedOnce(t *testing.T) {
	right, wrong := []byte("what was put"), []byte("what was not")
	for _, c := range []struct {
		name      string
		content   []byte
		from, ref Ref
		ok        bool
	}{
		{"what it is", right, RefOf(right), RefOf(right), true},
		{"damaged", wrong, RefOf(right), RefOf(right), false},
		{"another object", right, RefOf(right), RefOf(wrong), false},
		{"cut off", right[:5], RefOf(right), RefOf(right), false},
		{"longer", append(right, '!'), RefOf(right), RefOf(right), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			stored := newChecked(io.NopCloser(bytes.NewReader(c.content)), c.from.Digest, c.from.Size)
			got, err := io.ReadAll(Checked(t.Context(), stored, c.ref))
			if ok := err == nil && bytes.Equal(got, right); ok != c.ok {
				t.Errorf("read %q, %v", got, err)
			}
			if !c.ok && len(got) == len(right) {
				t.Errorf("all of %q was passed on", got)
			}
			if digest := new(DigestError); c.name == "damaged" && !errors.As(err, &digest) {
				t.Errorf("damage gives %v", err)
			}
			if none := sha256.Sum256(nil); c.from == c.ref && !bytes.Equal(stored.hash.Sum(nil), none[:]) {
				t.Error("the bytes were hashed twice")
			}
		})
	}
}
