package bundle

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"filippo.io/age"

	"airlock/storage/storetest"
)

// testKey opens testRecipient.
var testKey, testRecipient = func() (*age.HybridIdentity, string) {
	key, err := age.GenerateHybridIdentity()
	if err != nil {
		panic(err)
	}
	return key, key.Recipient().String()
}()

// give hands out a key whoever is asked for.
func give(key age.Identity) func(string) (age.Identity, error) {
	return func(string) (age.Identity, error) { return key, nil }
}

// Ciphertexts are as long as planned, for both kinds of recipient.
func TestEncryptedSizes(t *testing.T) {
	other, err := age.GenerateX25519Identity()
	check(t, err)
	for _, to := range []string{testRecipient, other.Recipient().String()} {
		e, err := encryptTo(to)
		check(t, err)
		for _, n := range []int{0, 1, ageChunk - 1, ageChunk, ageChunk + 1, 3 * ageChunk} {
			r, err := e.encrypt(io.NopCloser(bytes.NewReader(make([]byte, n))))
			got, err := readBody(r, err)
			check(t, err)
			if int64(len(got)) != e.size(int64(n)) {
				t.Errorf("%d bytes become %d, planned were %d", n, len(got), e.size(int64(n)))
			}
		}
	}
	if _, err := encryptTo("age1plugin1qqqq"); err == nil {
		t.Error("a plugin's recipient was taken")
	}
}

// Who has the key takes the same from an encrypted bundle, who has not nothing;
// it is verified and repaired without it.
func TestEncrypted(t *testing.T) {
	s := newSite(t)
	secret := storetest.Text(5, 3<<20)
	s.publishLarge("file/big@1", secret)
	want, err := s.take(s.source())
	check(t, err)
	o := s.options()
	o.EncryptTo, o.MaxVolume, o.Parity, o.Block = testRecipient, 400<<10, 30, 4096
	dir, _ := s.write(o)
	for _, name := range volumes(t, dir) {
		if bytes.Contains(readAll(t, name), []byte("hello again")) {
			t.Errorf("%s holds a payload in clear", name)
		}
	}
	if got, err := s.take(open(t, OpenOptions{Key: give(testKey)}, dir)); err != nil || got != want {
		t.Errorf("with the key: %v", err)
	}
	other, err := age.GenerateHybridIdentity()
	check(t, err)
	for name, key := range map[string]func(string) (age.Identity, error){"no key": nil, "another key": give(other)} {
		if _, err := s.take(open(t, OpenOptions{Key: key}, dir)); !errors.Is(err, ErrKey) {
			t.Errorf("with %s: %v", name, err)
		}
	}
	h, err := open(t, OpenOptions{}, dir).Verify(t.Context(), nil)
	if err != nil || !h.Whole() {
		t.Errorf("verifying without the key: %v", err)
	}
}
