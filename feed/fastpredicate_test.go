package feed

import (
	"fmt"
	"reflect"
	"testing"

	"airlock/signing"
	"airlock/storage"
)

// wantFast compares the two ways to read a publication.
func wantFast(t *testing.T, b []byte) (took bool) {
	t.Helper()
	fast, took := fastPublication(b)
	var slow Publication
	err := signing.UnmarshalCanonical(b, &slow)
	if took && (err != nil || !reflect.DeepEqual(fast, slow)) {
		t.Errorf("%s is read as %+v, and otherwise as %+v, %v", b, fast, slow, err)
	}
	return took
}

func publications(t testing.TB) (out [][]byte) {
	t.Helper()
	p := examplePublication()
	next := p
	next.Previous, next.Critical, next.ManifestSize, next.Epoch = &signing.ID{5}, true, MaxManifest, 1<<53-1
	urgent := p
	urgent.Urgent = true
	for _, p := range []Publication{p, next, urgent} {
		st, err := p.Statement(storage.Digest{9})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, st.Predicate)
	}
	return out
}

// TestFastPublication reads publications, and what is nearly one.
func TestFastPublication(t *testing.T) {
	for k, raw := range publications(t) {
		if took := wantFast(t, raw); took != (k != 1) { // 2^53-1 has 16 digits
			t.Errorf("%s: taken %v", raw, took)
		}
		for i := range raw {
			for _, c := range []string{"", " ", `"`, `\`, "0", "{", "\xff", "é", "A", "\u2028", "\x7f", "<"} {
				wantFast(t, fmt.Appendf(nil, "%s%s%s", raw[:i], c, raw[i+1:]))
				wantFast(t, fmt.Appendf(nil, "%s%s%s", raw[:i], c, raw[i:]))
			}
		}
		wantFast(t, fmt.Appendf(nil, "%s ", raw))
		wantFast(t, fmt.Appendf(nil, "%s%s", raw, raw))
	}
}

func FuzzFastPublication(f *testing.F) {
	for _, raw := range publications(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, b []byte) { wantFast(t, b) })
}
