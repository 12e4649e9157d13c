package signing

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// The files under testdata are the formats, byte for byte: a change that no
// longer reads them needs a new version of the format. -update makes new ones.
var update = flag.Bool("update", false, "write the example files anew, with new keys")

const exampleID = "sha256:86f3f04e40342fa4570c2ac674ad819117360ccc86d1677baea461afe8f439bb"

func example(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestExamples(t *testing.T) {
	if *update {
		writeExamples(t)
	}
	key, err := ReadKeyFile(filepath.Join("testdata", "leaf.key"), give("example"))
	if err != nil {
		t.Fatal(err)
	}
	raw := example(t, "attestation.json")
	a, err := ParseAttestation(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Payload(), example(t, "statement.json")) {
		t.Error("attestation.json does not hold statement.json")
	}
	if a.ID().String() != exampleID {
		t.Errorf("id %s, want %s", a.ID(), exampleID)
	}
	wantError(t, a.VerifySignature(&key.PublicKey), "")
	again := newAttestation(a.Payload(), a.Signature(), a.CertificateDER(), nil)
	if !bytes.Equal(again.Bytes(), raw) {
		t.Errorf("attestation.json becomes %s", again.Bytes())
	}
	st, err := testStatement().Format()
	if err != nil || !bytes.Equal(st, a.Payload()) {
		t.Errorf("statement.json is written as %s, %v", st, err)
	}
	root, leaf := parsed(t, example(t, "root.der")), parsed(t, example(t, "leaf.der"))
	wantError(t, CheckRoot(root, testSpace, testIssuer), "")
	wantError(t, CheckLeaf(leaf, root, testSpace, testIssuer, ForStatements), "")
	if !bytes.Equal(a.CertificateDER(), leaf.Raw) {
		t.Error("attestation.json comes with another certificate than leaf.der")
	}
}

func writeExamples(t *testing.T) {
	t.Helper()
	key := testKey(t)
	rootKey, root := testRoot(t)
	leaf, err := NewLeaf(testProfile(), &key.PublicKey, root, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner(key, leaf)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Sign(context.Background(), testStatement())
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"attestation.json": a.Bytes(), "statement.json": a.Payload(), "root.der": root, "leaf.der": leaf, "leaf.pub": publicKeyFile(t, &key.PublicKey)} {
		if err := os.WriteFile(filepath.Join("testdata", name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"leaf.key", "encryption.key"} {
		_ = os.Remove(filepath.Join("testdata", name))
	}
	example := &Passphrase{Text: "example", LogN: 10}
	if err := WriteKeyFile(filepath.Join("testdata", "leaf.key"), key, example); err != nil {
		t.Fatal(err)
	}
	if err := WriteEncryptionKey(filepath.Join("testdata", "encryption.key"), newEncryptionKey(t), example); err != nil {
		t.Fatal(err)
	}
}
