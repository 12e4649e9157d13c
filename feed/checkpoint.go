package feed

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxCheckpoint bounds a signed checkpoint, in bytes: room for the witnesses'
// cosignatures.
const MaxCheckpoint = 16 << 10

// Checkpoint is the signed size and root of a feed: a note as C2SP
// tlog-checkpoint has it, signed with Ed25519.
//
//	e1.shared.dev-qa.acme.airlock.example
//	2
//	tnTVKHxLqFCcCRxTIPlQXCPzJbCWm4SZDHDSuA0pBYA=
//
//	— e1.shared.dev-qa.acme.airlock.example ZW5kkQ…
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
	Note   []byte // the signed note, verbatim
}

// ErrCheckpoint reports a checkpoint that is not signed by the feed's key or
// not of the form.
var ErrCheckpoint = errors.New("checkpoint is not valid")

// LogKey signs checkpoints.
type LogKey struct{ private ed25519.PrivateKey }

// NewLogKey returns the key made from a seed of 32 bytes.
func NewLogKey(seed []byte) (LogKey, error) {
	if len(seed) != ed25519.SeedSize {
		return LogKey{}, fmt.Errorf("log key: seed of %d bytes, want %d", len(seed), ed25519.SeedSize)
	}
	return LogKey{ed25519.NewKeyFromSeed(seed)}, nil
}

// Public returns the public key, 32 bytes.
func (k LogKey) Public() []byte { return k.private.Public().(ed25519.PublicKey) }

// IsZero reports whether there is no key.
func (k LogKey) IsZero() bool { return k.private == nil }

// Derive returns 32 secret bytes for another purpose of the operator, by its name:
// all servers of a store know them without telling each other, and who knows them
// learns nothing of the key (HKDF-SHA256, RFC 5869).
func (k LogKey) Derive(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, k.private.Seed(), nil, "airlock "+purpose, 32)
}

// SignCell signs the SHA-256 of a log's own state under a domain of its own, so
// that the signature can never pass for a checkpoint's.
func (k LogKey) SignCell(state []byte) []byte { return ed25519.Sign(k.private, cellMessage(state)) }

// Secret returns 32 bytes that only holders of the key know, others for each
// purpose (HKDF with SHA-256, RFC 5869).
func (k LogKey) Secret(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, k.private.Seed(), nil, "airlock "+purpose, 32)
}

// VerifyCell checks what SignCell made.
func VerifyCell(publicKey, state, signature []byte) bool {
	return len(publicKey) == ed25519.PublicKeySize && ed25519.Verify(publicKey, cellMessage(state), signature)
}

func cellMessage(state []byte) []byte {
	sum := sha256.Sum256(state)
	return append([]byte("airlock log cell v1\x00"), sum[:]...)
}

// Sign returns the checkpoint. Ed25519 is deterministic: the same size and
// root give the same bytes, whoever holds the key.
func (k LogKey) Sign(origin string, size int64, root tlog.Hash) (Checkpoint, error) {
	signer := noteSigner{origin, k.private}
	body := fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: body}, signer)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint of %s: %w", origin, err)
	}
	return Checkpoint{origin, size, root, signed}, nil
}

// ParseCheckpoint reads a checkpoint without looking at signatures: what it
// says counts for nothing until OpenCheckpoint has seen it.
func ParseCheckpoint(b []byte) (Checkpoint, error) {
	if len(b) > MaxCheckpoint {
		return Checkpoint{}, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrCheckpoint, len(b), MaxCheckpoint)
	}
	text, _, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return Checkpoint{}, fmt.Errorf("%w: no signature block", ErrCheckpoint)
	}
	return parseBody(string(text)+"\n", b)
}

func parseBody(text string, signed []byte) (Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 {
		return Checkpoint{}, fmt.Errorf("%w: want origin, size and root on lines of their own", ErrCheckpoint)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("%w: size %.40q", ErrCheckpoint, lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, fmt.Errorf("%w: root %.60q", ErrCheckpoint, lines[2])
	}
	return Checkpoint{lines[0], size, tlog.Hash(root), signed}, nil
}

// OpenCheckpoint checks the signature of a feed's key over a checkpoint of
// that origin. Every error matches ErrCheckpoint.
func OpenCheckpoint(b []byte, origin string, publicKey []byte) (Checkpoint, error) {
	if len(b) > MaxCheckpoint {
		return Checkpoint{}, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrCheckpoint, len(b), MaxCheckpoint)
	}
	if len(publicKey) != ed25519.PublicKeySize {
		return Checkpoint{}, fmt.Errorf("%w: public key of %d bytes", ErrCheckpoint, len(publicKey))
	}
	opened, err := note.Open(b, note.VerifierList(noteVerifier{origin, publicKey}))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: not signed by the key of %s: %w", ErrCheckpoint, origin, err)
	}
	c, err := parseBody(opened.Text, b)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != origin {
		return Checkpoint{}, fmt.Errorf("%w: is of %.200q, not of %s", ErrCheckpoint, c.Origin, origin)
	}
	return c, nil
}

// VerifierKey returns the note verifier key "<origin>+<hash>+<key>" (C2SP
// signed-note) that other log clients take.
func VerifierKey(origin string, publicKey []byte) string {
	encoded := base64.StdEncoding.EncodeToString(append([]byte{algEd25519}, publicKey...))
	return fmt.Sprintf("%s+%08x+%s", origin, keyHash(origin, publicKey), encoded)
}

// algEd25519 is the signature type of Ed25519 in C2SP signed-note.
const algEd25519 = 1

// keyHash is the first four bytes of LogID, big-endian (C2SP signed-note).
func keyHash(origin string, publicKey []byte) uint32 {
	id := LogID(origin, publicKey)
	return uint32(id[0])<<24 | uint32(id[1])<<16 | uint32(id[2])<<8 | uint32(id[3])
}

type noteSigner struct {
	origin  string
	private ed25519.PrivateKey
}

func (s noteSigner) Name() string { return s.origin }
func (s noteSigner) KeyHash() uint32 {
	return keyHash(s.origin, s.private.Public().(ed25519.PublicKey))
}
func (s noteSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.private, msg), nil }

type noteVerifier struct {
	origin string
	public ed25519.PublicKey
}

func (v noteVerifier) Name() string                { return v.origin }
func (v noteVerifier) KeyHash() uint32             { return keyHash(v.origin, v.public) }
func (v noteVerifier) Verify(msg, sig []byte) bool { return ed25519.Verify(v.public, msg, sig) }
