//go:build interop

package interop

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// receiptType is the predicate type of receipts.
const receiptType = "https://airlock.example/receipt/v1"

// receiptParts are the parts of an exported receipt that openssl takes.
type receiptParts struct {
	VerificationMaterial struct {
		TimestampVerificationData struct {
			RFC3161Timestamps []struct{ SignedTimestamp []byte }
		}
	}
	DSSEEnvelope struct {
		Payload    []byte
		Signatures []struct{ Sig []byte }
	}
}

// pullWithReceipts is a Space that pulled from another and gave back receipts,
// all in stores; the other one exports the receipts in r0.json and r1.json.
func pullWithReceipts(t *testing.T) *program {
	p := pulled(t, "a", "b")
	for i, entry := range []string{"2", "3"} {
		p.run("--home", "dev", "receipt", "export", "acme/production", entry, "--from", "prodstore", "-o", []string{"r0.json", "r1.json"}[i])
	}
	p.run("--home", "dev", "trust", "export", "acme/production", "--tsa-certs", "tsa-root.pem", "-o", "tr.json")
	return p
}

// pulled is a Space that pulled packages from another, and gave a receipt of each.
func pulled(t *testing.T, packages ...string) *program {
	p := built(t)
	p.run("--home", "dev", "init", "acme/dev-qa", "--plain-keys", "--issuer", issuerURL)
	p.run("--home", "prod", "init", "acme/production", "--plain-keys", "--issuer", issuerURL)
	p.run("--home", "dev", "identity", "export", "-o", "dev.id")
	p.run("--home", "prod", "identity", "export", "-o", "prod.id")
	p.run("--home", "prod", "trust", "add", "dev.id", "--thumbprint", p.lineage("dev.id"))
	p.run("--home", "dev", "trust", "add", "prod.id", "--thumbprint", p.lineage("prod.id"))
	p.take(packages...)
	p.run("--home", "prod", "tsa", "cert", "-o", "tsa-root.pem")
	return p
}

// take publishes packages on one side and takes them in on the other.
func (p *program) take(packages ...string) {
	for _, name := range packages {
		must(p.t, os.WriteFile(p.file(name+".txt"), []byte(name), 0o644))
		p.run("--home", "dev", "--store", "devstore", "publish", "shared", name+".txt", "--kind", "file", "--version", "1")
	}
	p.run("--home", "prod", "pull", "acme/dev-qa/shared", "--from", "devstore", "--into", "conf", "--receipts", "prodstore")
}

// receipt reads an exported receipt, and the digest of the package it is about.
func (p *program) receipt(name string) (parts receiptParts, manifest string) {
	b, err := os.ReadFile(p.file(name))
	must(p.t, err)
	must(p.t, json.Unmarshal(b, &parts))
	var st struct {
		Subject []struct{ Digest struct{ SHA256 string } }
	}
	must(p.t, json.Unmarshal(parts.DSSEEnvelope.Payload, &st))
	return parts, st.Subject[0].Digest.SHA256
}

// TestStrangersVerifyReceipt: stock cosign accepts certificate, time stamp and
// our log's proof together, without --insecure-ignore-tlog, and refuses the
// receipt once a byte of any of them is another; openssl accepts the time stamp.
func TestStrangersVerifyReceipt(t *testing.T) {
	p := pullWithReceipts(t)
	parts, manifest := p.receipt("r0.json")
	cosign := func(bundle, root string) []string {
		return []string{"verify-blob-attestation", "--bundle", bundle, "--trusted-root", root, "--type", receiptType,
			"--digest", manifest, "--digestAlg", "sha256", "--certificate-identity", "space://acme/production",
			"--certificate-oidc-issuer", issuerURL, "--insecure-ignore-sct"}
	}
	accepts(t, "cosign", cosign(p.file("r0.json"), p.file("tr.json"))...)

	raw, err := os.ReadFile(p.file("r0.json"))
	must(t, err)
	// Not rootHash and canonicalizedBody: cosign takes the root from the checkpoint
	// and makes the log's entry of the receipt. The script of evidence has them.
	for _, part := range []string{`"payload":"`, `"sig":"`, `"rawBytes":"`, `"signedTimestamp":"`, `"envelope":"`, `"hashes":["`} {
		t.Run(part, func(t *testing.T) {
			at := strings.Index(string(raw), part)
			if at < 0 {
				t.Fatalf("the receipt has no %s", part)
			}
			refuses(t, "cosign", cosign(p.flipped("r0.json", at+len(part)+20), p.file("tr.json"))...)
		})
	}
	other, _ := p.receipt("r1.json")
	t.Run("token of another receipt", func(t *testing.T) {
		swapped := strings.Replace(string(raw), token64(parts), token64(other), 1)
		must(t, os.WriteFile(p.file("swapped.json"), []byte(swapped), 0o644))
		refuses(t, "cosign", cosign(p.file("swapped.json"), p.file("tr.json"))...)
	})
	t.Run("no authority", func(t *testing.T) {
		p.run("--home", "dev", "trust", "export", "acme/production", "-o", "tr2.json")
		refuses(t, "cosign", cosign(p.file("r0.json"), p.file("tr2.json"))...)
	})

	must(t, os.WriteFile(p.file("token.tsr"), parts.VerificationMaterial.TimestampVerificationData.RFC3161Timestamps[0].SignedTimestamp, 0o644))
	must(t, os.WriteFile(p.file("sig.der"), parts.DSSEEnvelope.Signatures[0].Sig, 0o644))
	must(t, os.WriteFile(p.file("sig2.der"), other.DSSEEnvelope.Signatures[0].Sig, 0o644))
	accepts(t, "openssl", "ts", "-verify", "-data", p.file("sig.der"), "-in", p.file("token.tsr"), "-CAfile", p.file("tsa-root.pem"))
	refuses(t, "openssl", "ts", "-verify", "-data", p.file("sig2.der"), "-in", p.file("token.tsr"), "-CAfile", p.file("tsa-root.pem"))
	refuses(t, "openssl", "ts", "-verify", "-data", p.file("sig.der"), "-in", p.flipped("token.tsr", 600), "-CAfile", p.file("tsa-root.pem"))
}

func token64(p receiptParts) string {
	return base64.StdEncoding.EncodeToString(p.VerificationMaterial.TimestampVerificationData.RFC3161Timestamps[0].SignedTimestamp)
}

// TestAuthorityForStrangers: openssl asks our authority over HTTP and accepts
// its answer; ours accepts an answer that openssl made.
func TestAuthorityForStrangers(t *testing.T) {
	p := pullWithReceipts(t)
	url := p.start(`^serving time stamps of .* on (http://\S+)`, "--home", "prod", "tsa", "serve", "--listen", "127.0.0.1:0")
	_, err := tool(t, "openssl", "ts", "-query", "-data", p.file("a.txt"), "-sha256", "-cert", "-out", p.file("q.tsq"))
	must(t, err)
	accepts(t, "curl", "--noproxy", "*", "-sSf", "-H", "Content-Type: application/timestamp-query", "--data-binary", "@"+p.file("q.tsq"), "-o", p.file("q.tsr"), url)
	accepts(t, "openssl", "ts", "-verify", "-queryfile", p.file("q.tsq"), "-in", p.file("q.tsr"), "-CAfile", p.file("tsa-root.pem"))
	refuses(t, "openssl", "ts", "-verify", "-data", p.file("b.txt"), "-in", p.file("q.tsr"), "-CAfile", p.file("tsa-root.pem"))
}
