//go:build interop

package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const approvalType = "https://airlock.example/approval/v1"

// TestStrangersVerifyApproval: a person makes a key with openssl and approves;
// cosign verifies that by the public key, over the list of what is approved,
// and refuses it once a byte is another. The steps are those of docs/formats.md.
func TestStrangersVerifyApproval(t *testing.T) {
	p := publishAndPull(t)
	accepts(t, "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", p.file("alice.key"))
	accepts(t, "openssl", "pkey", "-in", p.file("alice.key"), "-pubout", "-out", p.file("alice.pub"))
	p.run("--home", "dev", "--server", p.url, "approve", "shared", "--key", "alice.key", "-o", "approvals")
	made, err := filepath.Glob(p.file("approvals", "*.json"))
	must(t, err)
	if len(made) != 2 { // of 300 publications, 256 at most in each
		t.Fatalf("%d approvals", len(made))
	}
	raw, err := os.ReadFile(made[0])
	must(t, err)
	must(t, os.WriteFile(p.file("approval.json"), raw, 0o644))
	p.jq(t, "approves.txt", "-r", ".dsseEnvelope.payload | @base64d | fromjson | .predicate.approves[]")
	p.jq(t, "keyed.json", `.verificationMaterial = {publicKey: {hint: "alice"}}`)

	check := func(bundle, key, list string) []string {
		return []string{"verify-blob-attestation", "--bundle", bundle, "--key", key, "--type", approvalType, "--insecure-ignore-tlog", list}
	}
	bundle, key, list := p.file("keyed.json"), p.file("alice.pub"), p.file("approves.txt")
	accepts(t, "cosign", check(bundle, key, list)...)
	refuses(t, "cosign", check(bundle, key, p.flipped("approves.txt", 100))...)
	keyed, err := os.ReadFile(bundle)
	must(t, err)
	refuses(t, "cosign", check(p.flipped("keyed.json", strings.Index(string(keyed), `"payload": "`)+60), key, list)...)
	accepts(t, "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", p.file("bob.key"))
	accepts(t, "openssl", "pkey", "-in", p.file("bob.key"), "-pubout", "-out", p.file("bob.pub"))
	refuses(t, "cosign", check(bundle, p.file("bob.pub"), list)...)
	wrongType := check(bundle, key, list)
	wrongType[6] = predicateType
	refuses(t, "cosign", wrongType...)
}

// jq runs jq over approval.json and keeps what it says.
func (p *program) jq(t *testing.T, to string, args ...string) {
	t.Helper()
	out, err := tool(t, "jq", append(args, p.file("approval.json"))...)
	must(t, err)
	must(t, os.WriteFile(p.file(to), []byte(out), 0o644))
}
