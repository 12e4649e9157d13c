package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// bundleForm is a Sigstore bundle v0.3 in the JSON of protocol buffers, in
// which 64-bit numbers are strings. The envelope stays as it was signed.
type bundleForm struct {
	MediaType string          `json:"mediaType"`
	Material  bundleMaterial  `json:"verificationMaterial"`
	Envelope  json.RawMessage `json:"dsseEnvelope"`
}

type bundleMaterial struct {
	Certificate json.RawMessage `json:"certificate,omitempty"`
	PublicKey   *bundleKey      `json:"publicKey,omitempty"`
	Timestamps  json.RawMessage `json:"timestampVerificationData,omitempty"`
	TLogEntries []bundleEntry   `json:"tlogEntries,omitempty"`
}

type bundleKey struct {
	Hint string `json:"hint"`
}

// bundleEntry is a TransparencyLogEntry (sigstore_rekor.proto).
type bundleEntry struct {
	LogIndex    string       `json:"logIndex"`
	LogID       trustedLogID `json:"logId"`
	KindVersion bundleKind   `json:"kindVersion"`
	Proof       bundleProof  `json:"inclusionProof"`
	Body        []byte       `json:"canonicalizedBody"`
}

type bundleKind struct {
	Kind    string `json:"kind"`
	Version string `json:"version"`
}

type bundleProof struct {
	LogIndex   string           `json:"logIndex"`
	RootHash   []byte           `json:"rootHash"`
	TreeSize   string           `json:"treeSize"`
	Hashes     [][]byte         `json:"hashes"`
	Checkpoint bundleCheckpoint `json:"checkpoint"`
}

type bundleCheckpoint struct {
	Envelope string `json:"envelope"`
}

func openBundle(att signing.Attestation) (bundleForm, error) {
	var b bundleForm
	err := json.Unmarshal(att.Bytes(), &b)
	return b, err
}

func (b bundleForm) format() ([]byte, error) {
	out, err := json.Marshal(b)
	return append(out, '\n'), err
}

// withPublicKey names the signer's bare key in the place of its certificate.
// cosign takes base64 of the SHA-256 of the SubjectPublicKeyInfo as the hint.
func withPublicKey(att signing.Attestation, key storage.Digest) ([]byte, error) {
	b, err := openBundle(att)
	if err != nil {
		return nil, err
	}
	b.Material.Certificate = nil
	b.Material.PublicKey = &bundleKey{base64.StdEncoding.EncodeToString(key[:])}
	return b.format()
}

// withProof adds the log's proof that the entry is in the accepted tree.
func (o *opened) withProof(ctx context.Context, row feed.Row, att signing.Attestation) ([]byte, error) {
	c := o.state.Checkpoint()
	proof, err := feed.Prove(ctx, o, o.state.ID, c, row.Index)
	if err != nil {
		return nil, err
	}
	if err := tlog.CheckRecord(proof, c.Size, c.Root, row.Index, feed.LeafHash(att)); err != nil {
		return nil, fmt.Errorf("feed %s: entry %d: %w: %w", o.state.ID, row.Index, feed.ErrRoot, err)
	}
	b, err := openBundle(att)
	if err != nil {
		return nil, err
	}
	logID := feed.LogID(c.Origin, o.state.LogKey)
	e := bundleEntry{
		LogIndex: strconv.FormatInt(row.Index, 10), LogID: trustedLogID{base64.StdEncoding.EncodeToString(logID[:])},
		KindVersion: bundleKind{"hashedrekord", "0.0.2"}, Body: feed.LogEntry(att),
		Proof: bundleProof{LogIndex: strconv.FormatInt(row.Index, 10), RootHash: c.Root[:], TreeSize: strconv.FormatInt(c.Size, 10),
			Hashes: [][]byte{}, Checkpoint: bundleCheckpoint{string(c.Note)}},
	}
	for _, h := range proof {
		e.Proof.Hashes = append(e.Proof.Hashes, h[:])
	}
	b.Material.TLogEntries = []bundleEntry{e}
	return b.format()
}
