package signing

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"airlock/storage"
)

// maxKeyFile bounds a private key file, in bytes.
const maxKeyFile = 16 << 10

// ErrPassphrase reports a key file that the passphrase does not open.
var ErrPassphrase = errors.New("wrong passphrase")

// GenerateKey returns a new P-256 key.
func GenerateKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// Passphrase protects a private key file.
type Passphrase struct {
	Text string
	// LogN is the base-2 logarithm of scrypt's cost (RFC 7914); 0 stands for
	// age's default, about a second on a laptop.
	LogN int
}

// WriteKeyFile creates path, mode 0600, with the private key in PKCS#8 PEM:
// inside an armored age file where a passphrase is given, plain where p is nil.
// testdata/leaf.key is one with the passphrase "example".
// A file that exists is never overwritten: the error matches fs.ErrExist. A
// process that is killed meanwhile leaves a whole file or none.
func WriteKeyFile(path string, key *ecdsa.PrivateKey, p *Passphrase) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writeSecret(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), p)
}

// writeSecret creates path, mode 0600, with text as WriteKeyFile says.
func writeSecret(path string, text []byte, p *Passphrase) (err error) {
	if p != nil {
		if text, err = encrypt(text, *p); err != nil {
			return fmt.Errorf("encrypt key for %s: %w", path, err)
		}
	}
	return storage.CreateFile(path, text, 0o600)
}

func encrypt(text []byte, p Passphrase) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(p.Text)
	if err != nil {
		return nil, err
	}
	if p.LogN > 0 {
		recipient.SetWorkFactor(p.LogN)
	}
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, recipient)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	// Only closing writes the end of the file, without which the key is lost.
	if err := errors.Join(w.Close(), armored.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// ReadKeyFile reads a file that WriteKeyFile wrote. The passphrase is asked
// for only where the file needs one; ErrPassphrase where it does not fit.
func ReadKeyFile(path string, passphrase func() (string, error)) (*ecdsa.PrivateKey, error) {
	return readSecret(path, passphrase, parseKey)
}

// readSecret reads and parses a file that writeSecret wrote.
func readSecret[K any](path string, passphrase func() (string, error), parse func([]byte) (K, error)) (K, error) {
	var none K
	f, err := os.Open(path)
	if err != nil {
		return none, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return none, err
	}
	if len(text) > maxKeyFile {
		return none, fmt.Errorf("%s: more than %d bytes, not a key file", path, maxKeyFile)
	}
	if strings.HasPrefix(string(text), armor.Header) {
		if text, err = decrypt(text, passphrase); err != nil {
			return none, fmt.Errorf("%s: %w", path, err)
		}
	}
	key, err := parse(text)
	if err != nil {
		return none, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func decrypt(text []byte, passphrase func() (string, error)) ([]byte, error) {
	if passphrase == nil {
		return nil, errors.New("is encrypted, and nobody is there to give the passphrase")
	}
	phrase, err := passphrase()
	if err != nil {
		return nil, err
	}
	identity, err := age.NewScryptIdentity(phrase)
	if err != nil {
		return nil, ErrPassphrase
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(text)), identity)
	if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxKeyFile))
}

func parseKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("want one PEM block PRIVATE KEY, or an age file with one")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("not a PKCS#8 private key") // the cause may quote key material
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("key is not ECDSA P-256")
	}
	return key, nil
}
