package signing

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// cheap keeps scrypt fast; production leaves LogN at 0.
var cheap = Passphrase{Text: "correct horse", LogN: 4}

func give(phrase string) func() (string, error) {
	return func() (string, error) { return phrase, nil }
}

func TestKeyFile(t *testing.T) {
	for name, p := range map[string]*Passphrase{"plain": nil, "encrypted": &cheap} {
		t.Run(name, func(t *testing.T) {
			key, path := testKey(t), filepath.Join(t.TempDir(), "root.key")
			if err := WriteKeyFile(path, key, p); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
				t.Errorf("mode %v, %v, want -rw-------", info.Mode(), err)
			}
			got, err := ReadKeyFile(path, give("correct horse"))
			if err != nil || !got.Equal(key) {
				t.Fatalf("another key comes back: %v", err)
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if plain := bytes.Contains(before, []byte("PRIVATE KEY")); plain != (p == nil) {
				t.Errorf("key in clear: %v", plain)
			}
			// Nothing is overwritten.
			err = WriteKeyFile(path, testKey(t), p)
			if after, _ := os.ReadFile(path); !errors.Is(err, fs.ErrExist) || !bytes.Equal(before, after) {
				t.Errorf("a key file was written over: %v", err)
			}
		})
	}
}

func TestKeyFilePassphrase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	if err := WriteKeyFile(path, testKey(t), &cheap); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"correct hors", "Correct horse", "correct horse ", ""} {
		_, err := ReadKeyFile(path, give(wrong))
		if !errors.Is(err, ErrPassphrase) || wrong != "" && strings.Contains(strings.ReplaceAll(err.Error(), path, ""), wrong) {
			t.Errorf("passphrase %q: %v", wrong, err)
		}
	}
	canceled := errors.New("nobody at the terminal")
	if _, err := ReadKeyFile(path, func() (string, error) { return "", canceled }); !errors.Is(err, canceled) {
		t.Errorf("error %v, want that of the prompt", err)
	}
	_, err := ReadKeyFile(path, nil)
	wantError(t, err, "is encrypted")

	empty := filepath.Join(t.TempDir(), "empty.key")
	if err := WriteKeyFile(empty, testKey(t), &Passphrase{}); err == nil {
		t.Error("a key is encrypted with an empty passphrase")
	}
	if _, err := os.Stat(empty); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key file that could not be written is there: %v", err)
	}
	plain := filepath.Join(t.TempDir(), "plain.key")
	if err := WriteKeyFile(plain, testKey(t), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKeyFile(plain, nil); err != nil {
		t.Errorf("a plain key needs a passphrase: %v", err)
	}
}

// Bad key files are refused, and no error quotes what may be key material.
func TestReadKeyFileRefuses(t *testing.T) {
	key := testKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	other := func(k any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return text("PRIVATE KEY", der)
	}
	encrypted, err := encrypt(text("PRIVATE KEY", der), cheap)
	if err != nil {
		t.Fatal(err)
	}
	good := text("PRIVATE KEY", der)
	for name, test := range map[string]struct {
		text []byte
		want string
	}{
		"empty":              {nil, "want one PEM block"},
		"not PEM":            {[]byte(base64.StdEncoding.EncodeToString(der)), "want one PEM block"},
		"bare DER":           {der, "want one PEM block"},
		"public key":         {text("PUBLIC KEY", der), "want one PEM block"},
		"SEC 1":              {text("EC PRIVATE KEY", der), "want one PEM block"},
		"two keys":           {append(good[:len(good):len(good)], good...), "want one PEM block"},
		"text behind":        {append(good[:len(good):len(good)], "x"...), "want one PEM block"},
		"cut off inside":     {text("PRIVATE KEY", der[:len(der)-1]), "not a PKCS#8 private key"},
		"P-384":              {other(p384), "not ECDSA P-256"},
		"RSA":                {other(rsaKey), "not ECDSA P-256"},
		"oversized":          {append(bytes.Repeat([]byte("\n"), maxKeyFile), good...), "not a key file"},
		"encrypted, cut off": {encrypted[:len(encrypted)/2], "invalid armor"},
		"encrypted, damaged": {bytes.Replace(encrypted, []byte("\n-----END"), []byte("\nAAAA\n-----END"), 1), "invalid armor"},
		"for a recipient":    {forRecipient(t, good), ErrPassphrase.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.key")
			if err := os.WriteFile(path, test.text, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ReadKeyFile(path, give("correct horse"))
			if err == nil {
				t.Fatal("accepted")
			}
			wantError(t, err, test.want)
			wantError(t, err, path)
			for _, line := range strings.Fields(string(test.text)) {
				if len(line) > 30 && strings.Contains(err.Error(), line) {
					t.Errorf("the error quotes the file: %v", err)
				}
			}
		})
	}
	if _, err := ReadKeyFile(filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v of a missing file", err)
	}
}

// forRecipient encrypts to a key in the place of a passphrase.
func forRecipient(t *testing.T, text []byte) []byte {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(text)
	if err = errors.Join(err, w.Close(), armored.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func FuzzKeyFile(f *testing.F) {
	der, err := x509.MarshalPKCS8PrivateKey(testKey(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if key, err := parseKey(text); err == nil && key.Curve != elliptic.P256() {
			t.Errorf("%q is a key of another curve", text)
		}
	})
}
