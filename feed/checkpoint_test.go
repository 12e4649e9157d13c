package feed

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const testOrigin = "e1.shared.dev-qa.acme.airlock.example"

func testKey(seed byte) LogKey {
	key, err := NewLogKey(append(make([]byte, 31), seed))
	if err != nil {
		panic(err)
	}
	return key
}

// TestCheckpointExample compares a checkpoint with testdata, byte for byte, and
// lets x/mod's note open it with our verifier key.
func TestCheckpointExample(t *testing.T) {
	key := testKey(1)
	c, err := key.Sign(testOrigin, 2, tlog.RecordHash([]byte("example")))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/checkpoint.txt")
	if err != nil || !bytes.Equal(c.Note, want) {
		t.Errorf("got\n%s\nwant\n%s\n%v", c.Note, want, err)
	}
	verifier, err := note.NewVerifier(VerifierKey(testOrigin, key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(c.Note, note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := tlog.ParseTree([]byte(strings.Replace(n.Text, testOrigin, "go.sum database tree", 1)))
	if err != nil || theirs.N != c.Size || theirs.Hash != c.Root {
		t.Errorf("x/mod reads %+v, %v", theirs, err)
	}
	again, err := testKey(1).Sign(testOrigin, 2, c.Root)
	if err != nil || !bytes.Equal(again.Note, c.Note) {
		t.Error("the same size and root gave another note")
	}
}

func TestVerifierKey(t *testing.T) {
	public := testKey(3).Public()
	want, err := note.NewEd25519VerifierKey(testOrigin, ed25519.PublicKey(public))
	if err != nil || VerifierKey(testOrigin, public) != want {
		t.Errorf("got %s, want %s, %v", VerifierKey(testOrigin, public), want, err)
	}
	if id := LogID(testOrigin, public); !strings.Contains(want, "+"+hexOf(id[:4])+"+") {
		t.Errorf("log id %x does not begin with the key hash of %s", id, want)
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var out []byte
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}

// TestOpenCheckpoint opens what was signed by another key, for another feed or
// changed behind the signature.
func TestOpenCheckpoint(t *testing.T) {
	key, other := testKey(1), testKey(2)
	root := tlog.RecordHash(nil)
	good, err := key.Sign(testOrigin, 7, root)
	if err != nil {
		t.Fatal(err)
	}
	cosigned, err := note.Sign(&note.Note{Text: string(good.Note[:bytes.Index(good.Note, []byte("\n\n"))+1])},
		noteSigner{testOrigin, key.private}, noteSigner{"witness.example", other.private})
	if err != nil {
		t.Fatal(err)
	}
	foreign, _ := key.Sign("e2.shared.dev-qa.acme.airlock.example", 7, root)
	swapped := bytes.Replace(good.Note, []byte("\n7\n"), []byte("\n8\n"), 1)
	for name, c := range map[string]struct {
		note   []byte
		origin string
		key    []byte
		ok     bool
	}{
		"good":                {good.Note, testOrigin, key.Public(), true},
		"with a witness":      {cosigned, testOrigin, key.Public(), true},
		"another key":         {good.Note, testOrigin, other.Public(), false},
		"no key":              {good.Note, testOrigin, nil, false},
		"another epoch":       {foreign.Note, testOrigin, key.Public(), false},
		"another size":        {swapped, testOrigin, key.Public(), false},
		"a line in front":     {append([]byte("\n"), good.Note...), testOrigin, key.Public(), false},
		"no signature":        {good.Note[:bytes.Index(good.Note, []byte("\n\n"))+2], testOrigin, key.Public(), false},
		"cut short":           {good.Note[:len(good.Note)-2], testOrigin, key.Public(), false},
		"longer than allowed": {append(bytes.Clone(good.Note), bytes.Repeat([]byte("— x.example "+strings.Repeat("A", 2000)+"\n"), 10)...), testOrigin, key.Public(), false},
	} {
		got, err := OpenCheckpoint(c.note, c.origin, c.key)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
		if c.ok && (got.Size != 7 || got.Root != root || got.Origin != testOrigin || !bytes.Equal(got.Note, c.note)) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// TestCheckpointBody signs bodies that are none, with the right key.
func TestCheckpointBody(t *testing.T) {
	key := testKey(1)
	root := "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for body, ok := range map[string]bool{
		testOrigin + "\n7\n" + root + "\n":                        true,
		testOrigin + "\n7\n" + root + "\nextension 1\n":           true,
		testOrigin + "\n07\n" + root + "\n":                       false,
		testOrigin + "\n+7\n" + root + "\n":                       false,
		testOrigin + "\n-7\n" + root + "\n":                       false,
		testOrigin + "\n\n" + root + "\n":                         false,
		testOrigin + "\n99999999999999999999\n" + root + "\n":     false,
		testOrigin + "\n7\n" + root[:40] + "\n":                   false,
		testOrigin + "\n7\n" + root[:42] + "V=\n":                 false, // another encoding of the same bytes
		testOrigin + "\n7\n":                                      false,
		"e1.other.dev-qa.acme.airlock.example\n7\n" + root + "\n": false,
		"\n7\n" + root + "\n":                                     false,
	} {
		signed, err := note.Sign(&note.Note{Text: body}, noteSigner{testOrigin, key.private})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenCheckpoint(signed, testOrigin, key.Public()); (err == nil) != ok {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// TestCellDomain shows that the two signatures of a log key do not pass for each
// other.
func TestCellDomain(t *testing.T) {
	key := testKey(1)
	c, err := key.Sign(testOrigin, 7, tlog.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	body := c.Note[:bytes.Index(c.Note, []byte("\n\n"))+1]
	if sig := key.SignCell(body); ed25519.Verify(key.Public(), body, sig) || !VerifyCell(key.Public(), body, sig) {
		t.Error("a cell's signature is one over the bare bytes")
	}
	if VerifyCell(key.Public(), body, ed25519.Sign(key.private, body)) || VerifyCell(nil, body, nil) {
		t.Error("a checkpoint's signature passes for a cell's")
	}
	if _, err := NewLogKey(make([]byte, 31)); err == nil {
		t.Error("a seed of 31 bytes was taken")
	}
}

func FuzzCheckpoint(f *testing.F) {
	key := testKey(1)
	c, err := key.Sign(testOrigin, 2, tlog.RecordHash([]byte("example")))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.Note)
	f.Add([]byte("a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— a AAAAAAA=\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCheckpoint(b)
		if opened, openErr := OpenCheckpoint(b, testOrigin, key.Public()); openErr == nil {
			if err != nil || opened.Size != c.Size || opened.Root != c.Root || opened.Origin != c.Origin {
				t.Errorf("opened as %+v, parsed as %+v, %v", opened, c, err)
			}
		}
		if err == nil && (c.Size < 0 || !bytes.HasPrefix(b, []byte(c.Origin+"\n"))) {
			t.Errorf("%q was read as %+v", b, c)
		}
	})
}
