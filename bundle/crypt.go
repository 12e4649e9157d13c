package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"airlock/trust"
)

// An age file is a header, a nonce, and the plaintext in chunks of 64 KiB, each
// with a tag (age-encryption.org/v1, "Payload"). The last chunk may be short,
// and is empty only where the plaintext is.
const (
	ageChunk = 64 << 10
	ageTag   = 16
)

// encryptTo returns how parts are encrypted to a native age recipient. How long
// a header is depends on the recipient alone, so it is tried.
func encryptTo(recipient string) (*Encryption, error) {
	r, err := trust.ParseRecipient(recipient)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, r)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypting to %.80s: %w", recipient, err)
	}
	return &Encryption{Header: int64(b.Len()) - ageTag, Recipient: recipient}, nil
}

func (e *Encryption) check() error {
	if _, err := trust.ParseRecipient(e.Recipient); err != nil {
		return err
	}
	if e.Header < ageTag || e.Header > 16<<10 {
		return fmt.Errorf("encryption with headers of %d bytes", e.Header)
	}
	return nil
}

// size is what n bytes take once they are encrypted.
func (e *Encryption) size(n int64) int64 { return e.Header + n + ageTag*max(1, ceil(n, ageChunk)) }

// ErrKey reports a bundle that is encrypted to another key than those at hand.
var ErrKey = errors.New("is encrypted to a key that is not here")

// key returns the key that opens the parts. ask is nil where there is none.
func (e *Encryption) key(ask func(recipient string) (age.Identity, error)) (age.Identity, error) {
	if ask == nil {
		return nil, fmt.Errorf("the bundle %w", ErrKey)
	}
	key, err := ask(e.Recipient)
	if err != nil {
		return nil, fmt.Errorf("the bundle is encrypted: %w", err)
	}
	return key, nil
}

// decrypt returns the plaintext of a part.
func decrypt(r io.ReaderAt, size int64, key age.Identity) (*io.SectionReader, error) {
	plain, n, err := age.DecryptReaderAt(r, size, key)
	if _, other := errors.AsType[*age.NoIdentityMatchError](err); other {
		return nil, fmt.Errorf("the bundle %w", ErrKey)
	}
	if err != nil {
		return nil, malformed("encrypted part: %w", err)
	}
	return io.NewSectionReader(plain, 0, n), nil
}

// encrypt returns what is written of a part.
func (e *Encryption) encrypt(plain io.ReadCloser) (io.ReadCloser, error) {
	to, err := trust.ParseRecipient(e.Recipient)
	if err != nil {
		return nil, err
	}
	r, err := age.EncryptReader(plain, to)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{r, plain}, nil
}
