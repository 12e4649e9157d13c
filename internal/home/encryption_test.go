package home

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"filippo.io/age"

	"airlock/signing"
)

// listed returns the recipient that the identity lists.
func listed(t *testing.T, h *Home) string {
	t.Helper()
	history, err := h.Identity()
	if err != nil {
		t.Fatal(err)
	}
	return history.Current().Encryption
}

// wantDecryption wants a home to hold the key of a recipient.
func wantDecryption(t *testing.T, h *Home, recipient string) {
	t.Helper()
	key, err := h.DecryptionKey(recipient, say(phrase))
	if err != nil || key.Recipient().String() != recipient {
		t.Errorf("no key for %.20s…: %v", recipient, err)
	}
}

// A new Space has a key; each that replaces it has a file of its own, and all
// stay good for what was encrypted to them.
func TestEncryptionRenewed(t *testing.T) {
	h := newHome(t, &signing.Passphrase{Text: phrase, LogN: 10})
	first := listed(t, h)
	wantDecryption(t, h, first)
	changed := change(t, h, Change{Encryption: NewEncryption, Ask: say(phrase), Now: changeTime})
	second := listed(t, h)
	if second == first || len(changed.Keys) != 1 || changed.Keys[0] != h.file("keys", "encryption-2.key") {
		t.Errorf("made: %v; the same key: %v", changed.Keys, second == first)
	}
	if !strings.Contains(keys(t, h)["encryption-2.key"], "AGE ENCRYPTED FILE") {
		t.Error("the new key is not protected as the others are")
	}
	wantDecryption(t, h, first)
	wantDecryption(t, h, second)

	// Other changes leave it as it is.
	change(t, h, renewal(t, h))
	if listed(t, h) != second {
		t.Error("a change of leaves changed the encryption key")
	}
	wantDecryption(t, h, second)

	change(t, h, Change{Encryption: DropEncryption, Ask: say(phrase), Now: changeTime})
	if got := listed(t, h); got != "" {
		t.Errorf("dropped, and it lists %s", got)
	}
	wantDecryption(t, h, second)
}

// A key that was made by a command that was cut off is listed by the next; one
// that anybody could have put there is not.
func TestEncryptionCutOff(t *testing.T) {
	h := newHome(t, &signing.Passphrase{Text: phrase, LogN: 10})
	c := Change{Encryption: NewEncryption, Ask: say(phrase), Now: changeTime}
	planted, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	path := h.file("keys", "encryption-2.key")
	if err := signing.WriteEncryptionKey(path, planted, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Change(context.Background(), c); err == nil || !strings.Contains(err.Error(), "encryption-2.key: is there already, and is not encrypted") {
		t.Errorf("a key that was planted: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := signing.WriteEncryptionKey(path, planted, &signing.Passphrase{Text: phrase, LogN: 10}); err != nil {
		t.Fatal(err)
	}
	change(t, h, c)
	if listed(t, h) != planted.Recipient().String() {
		t.Error("another key was made")
	}
}

// Why a key is not here is said, and never looks like an object that is absent.
func TestDecryptionKeyRefuses(t *testing.T) {
	h := newHome(t, nil)
	mine := listed(t, h)
	other, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	path := h.file("keys", "encryption-1.key")
	refused := func(h *Home, recipient, file, want string) {
		t.Helper()
		_, err := h.DecryptionKey(recipient, nil)
		var e *DecryptionError
		if !errors.As(err, &e) || e.Path != file || !strings.Contains(err.Error(), want) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	refused(open(t, t.TempDir()), mine, "", "holds no Space")
	refused(h, other.Recipient().String(), "", "no version of the identity of acme/dev-qa lists its key")
	refused(h, "", "", "no version of the identity")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refused(h, mine, path, "encryption-1.key")
	if err := signing.WriteEncryptionKey(path, other, nil); err != nil {
		t.Fatal(err)
	}
	refused(h, mine, path, "holds another key than the identity lists")
}
