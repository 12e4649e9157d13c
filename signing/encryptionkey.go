package signing

import (
	"errors"
	"strings"

	"filippo.io/age"
)

// WriteEncryptionKey creates path, mode 0600, with the private half of a Space's
// encryption key (age, hybrid post-quantum) as age-keygen writes it, on one line;
// with a passphrase it is protected as WriteKeyFile protects keys, and it
// overwrites nothing as that does. age reads both: age -d -i FILE.
// testdata/encryption.key is one with the passphrase "example".
func WriteEncryptionKey(path string, key *age.HybridIdentity, p *Passphrase) error {
	return writeSecret(path, []byte(key.String()+"\n"), p)
}

// ReadEncryptionKey reads a file that WriteEncryptionKey wrote. The passphrase is
// asked for only where the file needs one; ErrPassphrase where it does not fit.
func ReadEncryptionKey(path string, passphrase func() (string, error)) (*age.HybridIdentity, error) {
	return readSecret(path, passphrase, parseEncryptionKey)
}

func parseEncryptionKey(text []byte) (*age.HybridIdentity, error) {
	line, ended := strings.CutSuffix(string(text), "\n")
	key, err := age.ParseHybridIdentity(line)
	if err != nil || !ended || key.String() != line {
		// The cause may quote key material.
		return nil, errors.New("want one line AGE-SECRET-KEY-PQ-1…, or an age file with it")
	}
	return key, nil
}
