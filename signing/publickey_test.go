package signing

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
)

func publicKeyFile(tb testing.TB, pub *ecdsa.PublicKey) []byte {
	tb.Helper()
	b, err := FormatPublicKey(pub)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// testdata/leaf.pub is the other half of leaf.key, byte for byte.
func TestPublicKeyExample(t *testing.T) {
	pub, err := ParsePublicKey(example(t, "leaf.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if leaf := parsed(t, example(t, "leaf.der")); !pub.Equal(leaf.PublicKey) {
		t.Error("leaf.pub is another key than that of leaf.der")
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	good := string(publicKeyFile(t, &testKey(t).PublicKey))
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, want string }{
		"nothing":        {"", "one PEM block"},
		"too long":       {good + strings.Repeat("#", maxPublicKey), "more than"},
		"certificate":    {strings.ReplaceAll(good, "PUBLIC KEY", "CERTIFICATE"), "one PEM block"},
		"not a key":      {"-----BEGIN PUBLIC KEY-----\nMAMCAQE=\n-----END PUBLIC KEY-----\n", "public key: "},
		"another curve":  {string(publicKeyFile(t, &p384.PublicKey)), "not ECDSA P-256"},
		"two keys":       {good + good, "the PEM block alone"},
		"text before":    {"alice\n" + good, "the PEM block alone"},
		"cut off":        {good[:len(good)-1], "the PEM block alone"},
		"other line end": {strings.ReplaceAll(good, "\n", "\r\n"), "the PEM block alone"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParsePublicKey([]byte(c.file))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// What parses is written again as the same bytes.
func FuzzPublicKey(f *testing.F) {
	f.Add(publicKeyFile(f, &testKey(f).PublicKey))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		pub, err := ParsePublicKey(file)
		if err != nil {
			return
		}
		if !bytes.Equal(publicKeyFile(t, pub), file) {
			t.Errorf("%q is written otherwise", file)
		}
	})
}
