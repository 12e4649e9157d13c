package signing

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"pgregory.net/rapid"
)

func newEncryptionKey(tb testing.TB) *age.HybridIdentity {
	tb.Helper()
	key, err := age.GenerateHybridIdentity()
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func TestEncryptionKey(t *testing.T) {
	for name, p := range map[string]*Passphrase{"plain": nil, "encrypted": &cheap} {
		t.Run(name, func(t *testing.T) {
			path, key := filepath.Join(t.TempDir(), "a.key"), newEncryptionKey(t)
			if err := WriteEncryptionKey(path, key, p); err != nil {
				t.Fatal(err)
			}
			got, err := ReadEncryptionKey(path, give(cheap.Text))
			if err != nil || got.String() != key.String() {
				t.Fatalf("another key comes back: %v", err)
			}
			text, err := os.ReadFile(path)
			if plain := bytes.Contains(text, []byte("AGE-SECRET-KEY")); err != nil || plain != (p == nil) {
				t.Errorf("key in clear: %v, %v", plain, err)
			}
			if err := WriteEncryptionKey(path, newEncryptionKey(t), p); !errors.Is(err, fs.ErrExist) {
				t.Errorf("a key file was written over: %v", err)
			}
		})
	}
}

// The example of docs/formats.md.
func TestEncryptionKeyExample(t *testing.T) {
	if _, err := ReadEncryptionKey(filepath.Join("testdata", "encryption.key"), give("example")); err != nil {
		t.Error(err)
	}
}

// No other text is taken, and no error quotes what may be a key.
func TestReadEncryptionKeyRefuses(t *testing.T) {
	good := newEncryptionKey(t).String()
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "no line break": good, "two lines": good + "\n" + good + "\n", "a comment": "# mine\n" + good + "\n",
		"lower case": strings.ToLower(good) + "\n", "cut off": good[:len(good)-1] + "\n", "not post-quantum": classic.String() + "\n",
		"a plugin's": "AGE-PLUGIN-PQ-1QQQQ\n", "carriage return": good + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.key")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ReadEncryptionKey(path, nil)
			wantError(t, err, "want one line AGE-SECRET-KEY-PQ-1")
			wantError(t, err, path)
			if strings.Contains(err.Error(), strings.TrimPrefix(good, "AGE-SECRET-KEY-PQ-")[:10]) {
				t.Errorf("the error quotes the file: %v", err)
			}
		})
	}
}

// Whatever passphrase was chosen opens the file, and no other does.
func TestEncryptionKeyPassphrases(t *testing.T) {
	dir, key, n := t.TempDir(), newEncryptionKey(t), 0
	rapid.Check(t, func(t *rapid.T) {
		phrase := rapid.StringN(1, 40, -1).Draw(t, "passphrase")
		other := rapid.StringN(1, 40, -1).Filter(func(s string) bool { return s != phrase }).Draw(t, "other")
		n++
		path := filepath.Join(dir, fmt.Sprintf("%d.key", n))
		if err := WriteEncryptionKey(path, key, &Passphrase{Text: phrase, LogN: 1}); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadEncryptionKey(path, give(phrase)); err != nil || got.String() != key.String() {
			t.Fatalf("the passphrase does not open it: %v", err)
		}
		if _, err := ReadEncryptionKey(path, give(other)); !errors.Is(err, ErrPassphrase) {
			t.Fatalf("another passphrase: %v", err)
		}
	})
}

// What parses is written the same.
func FuzzEncryptionKey(f *testing.F) {
	f.Add([]byte(newEncryptionKey(f).String() + "\n"))
	f.Add([]byte("AGE-SECRET-KEY-PQ-1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if key, err := parseEncryptionKey(text); err == nil && key.String()+"\n" != string(text) {
			t.Error("taken, and it is written otherwise")
		}
	})
}
