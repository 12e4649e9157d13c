package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"filippo.io/age"

	"airlock/signing"
	"airlock/trust"
)

// An encryption key is named after the identity version that lists it first, as
// publisher keys are. It is never removed: what was encrypted to it before it
// was replaced may still be on its way.
func encryptionFile(version int) string { return numbered("encryption-", version) }

// encryptionKeys are kept as all private keys are.
var encryptionKeys = keyKind[*age.HybridIdentity]{age.GenerateHybridIdentity, signing.WriteEncryptionKey, signing.ReadEncryptionKey}

// Encryption is what a Change does with the Space's encryption key.
type Encryption int

// What may become of the encryption key.
const (
	KeepEncryption Encryption = iota // listed as before, or none
	NewEncryption                    // a new key in its place
	DropEncryption                   // none is listed
)

// DecryptionError reports a recipient whose private key is not in this home. It
// matches none of its cause: a key that is missing is no object that is missing.
type DecryptionError struct {
	Path string // the file where it should be; empty where the Space never listed it
	Err  error
}

func (e *DecryptionError) Error() string { return e.Err.Error() }

// Hint says what to do.
func (e *DecryptionError) Hint() string {
	if e.Path == "" {
		return "open it with the home of the Space that it was made for (--home DIR), or have one made for this Space: airlock bundle create --encrypt-to"
	}
	return "restore " + e.Path + " from the backup, or copy it from the home that made it; a copy to look with holds none: open it with the home that has the keys; for a key that is lost: airlock identity renew --encryption new, and have the bundle made anew"
}

// DecryptionKey returns the private key of a recipient that some version of the
// Space's identity lists. The passphrase is asked for where its file needs one.
// *DecryptionError where the key is not here.
func (h *Home) DecryptionKey(recipient string, ask Ask) (*age.HybridIdentity, error) {
	history, err := h.Identity()
	if errors.Is(err, ErrNoSpace) {
		return nil, &DecryptionError{Err: err}
	}
	if err != nil {
		return nil, err
	}
	file := listedSince(history, recipient)
	if file == "" {
		return nil, &DecryptionError{Err: fmt.Errorf("no version of the identity of %s lists its key", history.Space())}
	}
	path := h.file("keys", file)
	key, _, err := encryptionKeys.read(path, ask)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &DecryptionError{path, err}
	}
	if err == nil && key.Recipient().String() != recipient {
		err = &DecryptionError{path, fmt.Errorf("%s: holds another key than the identity lists", path)}
	}
	return key, err
}

// HoldsEncryption reports whether the private key of the encryption key that the
// Space lists lies here. It opens no file; with none listed it is false.
func (h *Home) HoldsEncryption(history *trust.History) bool {
	file := listedSince(history, history.Current().Encryption)
	if file == "" {
		return false
	}
	_, err := os.Stat(h.file("keys", file))
	return err == nil
}

// listedSince returns the file of the key of a recipient, "" where no version
// lists it.
func listedSince(history *trust.History, recipient string) string {
	for _, v := range history.Versions() {
		if v.Identity.Encryption == recipient && recipient != "" {
			return encryptionFile(v.Identity.Version)
		}
	}
	return ""
}
