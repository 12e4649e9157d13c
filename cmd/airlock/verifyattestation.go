package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// maxStatementSubject bounds the file that an attestation speaks of, in bytes: a
// manifest, or the larger document of holdings.
const maxStatementSubject = feed.MaxAccount

// maxProof bounds the hashes of a proof: a tree of 2^63 entries needs no more.
const maxProof = 63

// errBareKey reports an attestation that does not say who signed it.
var errBareKey = errors.New("the attestation names a bare key and holds no certificate")

// readBundle reads the stored form of an attestation, or that with the proof
// that airlock show --proof adds.
func readBundle(b []byte) (signing.Attestation, *bundleEntry, error) {
	if att, err := signing.ParseAttestation(b); err == nil {
		return att, nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var form bundleForm
	if err := dec.Decode(&form); err != nil {
		return signing.Attestation{}, nil, fmt.Errorf("attestation: %w", err)
	}
	entries := form.Material.TLogEntries
	if form.Material.PublicKey != nil {
		return signing.Attestation{}, nil, errBareKey
	}
	if len(entries) > 1 {
		return signing.Attestation{}, nil, fmt.Errorf("attestation: %d log entries, want at most one", len(entries))
	}
	form.Material.TLogEntries = nil
	stored, err := form.stored()
	if err != nil {
		return signing.Attestation{}, nil, err
	}
	att, err := signing.ParseAttestation(stored)
	if err != nil || len(entries) == 0 {
		return att, nil, err
	}
	return att, &entries[0], nil
}

// stored returns the canonical form, with members in the order of RFC 8785.
func (b bundleForm) stored() ([]byte, error) {
	return json.Marshal(struct {
		Envelope  json.RawMessage `json:"dsseEnvelope"`
		MediaType string          `json:"mediaType"`
		Material  bundleMaterial  `json:"verificationMaterial"`
	}{b.Envelope, b.MediaType, b.Material})
}

// check holds a proof of inclusion against the checkpoint that came along.
func (e *bundleEntry) check(att signing.Attestation) error {
	c, err := feed.ParseCheckpoint([]byte(e.Proof.Checkpoint.Envelope))
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	index, err := strconv.ParseInt(e.LogIndex, 10, 64)
	if err != nil || e.Proof.LogIndex != e.LogIndex || index < 0 || index >= c.Size {
		return fmt.Errorf("proof: entry %.20q of a log of %d", e.LogIndex, c.Size)
	}
	if !bytes.Equal(e.Body, feed.LogEntry(att)) {
		return errors.New("proof: canonicalizedBody is not the log entry of this statement")
	}
	if len(e.Proof.Hashes) > maxProof || e.Proof.TreeSize != strconv.FormatInt(c.Size, 10) || !bytes.Equal(e.Proof.RootHash, c.Root[:]) {
		return errors.New("proof: size or root are not those of its checkpoint")
	}
	var proof tlog.RecordProof
	for _, h := range e.Proof.Hashes {
		if len(h) != tlog.HashSize {
			return fmt.Errorf("proof: hash of %d bytes", len(h))
		}
		proof = append(proof, tlog.Hash(h))
	}
	if err := tlog.CheckRecord(proof, c.Size, c.Root, index, feed.LeafHash(att)); err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	return nil
}

// statement verifies an attestation against an identity alone.
func (v *verification) statement(att signing.Attestation, manifest []byte, history *trust.History, kind signing.Kind) error {
	subject := storage.DigestOf(manifest)
	got, listed, err := history.VerifyApart(att, trust.Want{Kind: kind, Subject: subject})
	if err != nil {
		return err
	}
	v.ok("signature", "by %s, key %s", got.Person(), got.Key())
	v.ok("signer", "listed by identity version %d of %d", listed, history.Current().Version)
	v.ok("subject", "%s is %s", got.Statement().SubjectName, subject)
	v.ok("bound to", "feed %s, epoch %d, lineage %s, kind %s", got.Bound().Feed, got.Bound().Epoch, got.Bound().Lineage, kind)
	return nil
}
