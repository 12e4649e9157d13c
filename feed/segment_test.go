package feed

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"airlock/signing"
	"airlock/storage"
)

func TestSegmentRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		statements := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 50), 1, SegmentSize).Draw(t, "statements")
		b := Segment{Start: 512, Statements: statements}.Format()
		s, err := ParseSegment(b, 512, len(statements))
		if err != nil || s.Start != 512 || !bytes.Equal(s.Format(), b) || len(s.Statements) != len(statements) {
			t.Fatalf("came back as %v, %v", s, err)
		}
	})
}

func TestSegmentRefused(t *testing.T) {
	good := Segment{Statements: [][]byte{[]byte("one"), []byte("two")}}.Format()
	length := func(n uint32, rest int) []byte {
		return append(binary.BigEndian.AppendUint32(nil, n), make([]byte, rest)...)
	}
	for name, c := range map[string]struct {
		b     []byte
		width int
		want  string
	}{
		"fewer than asked for": {good, 3, "2 entries, want 3"},
		"more than asked for":  {good, 1, "more than 1"},
		"cut in a length":      {good[:9], 2, "inside a length"},
		"cut in an entry":      {good[:len(good)-1], 2, "entry 257 has length 3, 2 bytes are left"},
		"an empty entry":       {length(0, 0), 1, "length 0"},
		"an entry too long":    {length(signing.MaxAttestation+1, signing.MaxAttestation+1), 1, "length"},
		"a huge length":        {length(1<<32-1, 3), 1, "length"},
		"nothing":              {nil, 1, "0 entries"},
		"no width":             {good, 0, "width"},
		"too wide":             {good, SegmentSize + 1, "width"},
	} {
		if _, err := ParseSegment(c.b, 256, c.width); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "segment at 256") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func FuzzSegment(f *testing.F) {
	f.Add(Segment{Statements: [][]byte{[]byte("one"), []byte("two")}}.Format(), 2)
	f.Add([]byte{0, 0, 0, 1, 'x'}, 1)
	f.Add([]byte{255, 255, 255, 255}, 1)
	f.Fuzz(func(t *testing.T, b []byte, width int) {
		if s, err := ParseSegment(b, 0, width); err == nil && (len(s.Statements) != width || !bytes.Equal(s.Format(), b)) {
			t.Errorf("%x came back as %x", b, s.Format())
		}
	})
}

func TestPack(t *testing.T) {
	p := NewPack()
	objects := [][]byte{nil, []byte("a"), make([]byte, MaxPacked), []byte("a")}
	for _, o := range objects {
		if !p.Add(storage.DigestOf(o), o) {
			t.Fatalf("no room for %d bytes", len(o))
		}
	}
	if p.Add(storage.Digest{1}, make([]byte, MaxPacked+1)) {
		t.Error("an object above MaxPacked was taken")
	}
	got, err := ParsePack(p.Format())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if b, ok := got.Object(storage.DigestOf(o)); !ok || !bytes.Equal(b, o) {
			t.Errorf("object of %d bytes: %d bytes, %v", len(o), len(b), ok)
		}
	}
	if n := len(p.Format()); n != len(packHeader)+3*36+1+MaxPacked {
		t.Errorf("the pack has %d bytes: an object is in twice", n)
	}
}

// TestPackLies parses packs whose objects are not what their digests say: they
// are not in it.
func TestPackLies(t *testing.T) {
	a, b := []byte("honest"), []byte("a lie")
	p := NewPack()
	p.Add(storage.DigestOf(a), a)
	p.Add(storage.DigestOf([]byte("something else")), b)
	got, err := ParsePack(p.Format())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := got.Object(storage.DigestOf([]byte("something else"))); ok {
		t.Error("an object that does not match its digest is in the pack")
	}
	if _, ok := got.Object(storage.DigestOf(a)); !ok {
		t.Error("the honest object is missing")
	}
	good := p.Format()
	long := append([]byte(packHeader), make([]byte, 32)...)
	for name, b := range map[string][]byte{
		"empty": nil, "another version": append([]byte("airlock-pack 2\n"), good[15:]...), "cut": good[:len(good)-1], "cut in a head": good[:20],
		"a long object": append(binary.BigEndian.AppendUint32(long, MaxPacked+1), make([]byte, MaxPacked+1)...),
	} {
		if _, err := ParsePack(b); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzPack(f *testing.F) {
	p := NewPack()
	p.Add(storage.DigestOf([]byte("a")), []byte("a"))
	f.Add(p.Format())
	f.Add([]byte(packHeader))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePack(b)
		if err != nil {
			return
		}
		for d, content := range p.objects {
			if storage.DigestOf(content) != d {
				t.Errorf("object %s is %q", d, content)
			}
		}
	})
}
