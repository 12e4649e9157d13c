//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// toolLimit bounds one call of a stranger's tool.
const toolLimit = time.Minute

// tool runs a program without a network of its own and returns what it said.
func tool(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	// cosign would fetch Sigstore's public root and keep it below HOME.
	cmd.Env = append(cmd.Environ(), "HOME="+t.TempDir(), "HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// accepts and refuses say what a tool must answer.
func accepts(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := tool(t, name, args...); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func refuses(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := tool(t, name, args...)
	if err == nil {
		t.Errorf("%s %s: accepted\n%s", name, strings.Join(args, " "), out)
		return
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	t.Logf("refused as it must be: %s", lines[len(lines)-1])
}

// byCertificate are the arguments with which an auditor checks a statement by
// the Space's identity and a trusted root.
func byCertificate(bundle, root, artifact string) []string {
	return []string{"verify-blob-attestation", "--bundle", bundle, "--trusted-root", root, "--type", predicateType,
		"--certificate-identity", space, "--certificate-oidc-issuer", issuerURL,
		"--insecure-ignore-tlog", "--insecure-ignore-sct", artifact}
}

// byKey are those with the bare public key.
func byKey(bundle, key, artifact string) []string {
	return []string{"verify-blob-attestation", "--bundle", bundle, "--key", key, "--type", predicateType,
		"--insecure-ignore-tlog", artifact}
}

func TestCosignByCertificate(t *testing.T) {
	f := newFixture(t, designProfile)
	artifact := f.write(t, "manifest.json", f.artifact)
	bundle := f.write(t, "bundle.json", f.bundle(f.withCertificate()))
	root := f.write(t, "trusted_root.json", trustedRoot(f.root))

	accepts(t, "cosign", byCertificate(bundle, root, artifact)...)

	t.Run("other artifact", func(t *testing.T) {
		refuses(t, "cosign", byCertificate(bundle, root, f.write(t, "other.json", []byte("{}")))...)
	})
	t.Run("other root", func(t *testing.T) {
		other := newFixture(t, designProfile)
		refuses(t, "cosign", byCertificate(bundle, f.write(t, "other_root.json", trustedRoot(other.root)), artifact)...)
	})
	t.Run("other predicate type", func(t *testing.T) {
		args := byCertificate(bundle, root, artifact)
		args[6] = "https://airlock.example/withdrawal/v1"
		refuses(t, "cosign", args...)
	})
	t.Run("two roots", func(t *testing.T) {
		other := newFixture(t, designProfile)
		accepts(t, "cosign", byCertificate(bundle, f.write(t, "two_roots.json", trustedRoot(other.root, f.root)), artifact)...)
	})
}

func TestCosignByKey(t *testing.T) {
	f := newFixture(t, designProfile)
	artifact := f.write(t, "manifest.json", f.artifact)
	key := f.write(t, "leaf.pub", f.publicKey(t))

	t.Run("bundle with the key's hint", func(t *testing.T) {
		accepts(t, "cosign", byKey(f.write(t, "hint.json", f.bundle(withHint("leaf"))), key, artifact)...)
	})
	t.Run("bundle with the certificate", func(t *testing.T) {
		// cosign: "expected key signature, not certificate".
		refuses(t, "cosign", byKey(f.write(t, "cert.json", f.bundle(f.withCertificate())), key, artifact)...)
	})
	t.Run("other key", func(t *testing.T) {
		other := newFixture(t, designProfile)
		refuses(t, "cosign", byKey(f.write(t, "hint2.json", f.bundle(withHint("leaf"))), other.write(t, "o.pub", other.publicKey(t)), artifact)...)
	})
}

// TestCosignProfiles tells which certificate fields cosign insists on.
func TestCosignProfiles(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(*profile)
		accepted bool
	}{
		{"root without CA:TRUE", func(p *profile) { p.rootCA, p.rootKeyUsage = false, 0 }, false},
		{"root without key usage", func(p *profile) { p.rootKeyUsage = 0 }, true},
		{"root that may not sign certificates", func(p *profile) { p.rootKeyUsage = x509.KeyUsageDigitalSignature }, false},
		{"root for code signing", func(p *profile) { p.rootExtended = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }, true},
		{"root for servers", func(p *profile) { p.rootExtended = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, false},
		{"leaf without key usage", func(p *profile) { p.leafKeyUsage = 0 }, true},
		{"leaf without extended usage", func(p *profile) { p.leafExtended = nil }, true},
		{"leaf for clients", func(p *profile) { p.leafExtended = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, false},
		{"leaf without issuer", func(p *profile) { p.noIssuer = true }, false},
		{"leaf as its own authority", func(p *profile) { p.selfSignedEnd = true }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := designProfile
			c.change(&p)
			f := newFixture(t, p)
			judge(t, c.accepted, byCertificate(f.write(t, "bundle.json", f.bundle(f.withCertificate())),
				f.write(t, "root.json", trustedRoot(f.root)), f.write(t, "artifact", f.artifact)))
		})
	}
}

// TestCosignBundleForms tells which spellings of one bundle cosign takes.
func TestCosignBundleForms(t *testing.T) {
	f := newFixture(t, designProfile)
	b64 := base64.StdEncoding.EncodeToString
	material := `"verificationMaterial":{"certificate":{"rawBytes":"` + b64(f.leaf.Raw) + `"}}`
	envelope := `"dsseEnvelope":{"signatures":[{"sig":"` + b64(f.signature) + `"}],"payload":"` + b64(f.statement) + `","payloadType":"` + payloadType + `"}`
	media := `"mediaType":"` + bundleType + `"`
	for _, c := range []struct {
		name, bundle string
		accepted     bool
	}{
		{"keys in another order", "{" + envelope + "," + material + "," + media + "}", true},
		{"white space", "{\n  " + media + ",\n  " + material + ",\n  " + envelope + "\n}\n", true},
		{"empty keyid", "{" + media + "," + material + "," + strings.Replace(envelope, `"sig":`, `"keyid":"","sig":`, 1) + "}", true},
		{"empty list of log entries", "{" + media + "," + strings.Replace(material, `{"cert`, `{"tlogEntries":[],"cert`, 1) + "," + envelope + "}", true},
		{"unknown field", "{" + media + "," + material + "," + envelope + `,"x":1}`, false},
		{"no media type", "{" + material + "," + envelope + "}", false},
		{"two signatures", "{" + media + "," + material + "," + strings.Replace(envelope, `"}]`, `"},{"sig":"`+b64(f.signature)+`"}]`, 1) + "}", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			judge(t, c.accepted, byCertificate(f.write(t, "bundle.json", []byte(c.bundle)),
				f.write(t, "root.json", trustedRoot(f.root)), f.write(t, "artifact", f.artifact)))
		})
	}
}

// TestCosignTrustedRootForms tells what trusted_root.json must and may hold.
func TestCosignTrustedRootForms(t *testing.T) {
	f := newFixture(t, designProfile)
	media := `"mediaType":"` + trustedType + `",`
	chain := `"certChain":{"certificates":[{"rawBytes":"` + base64.StdEncoding.EncodeToString(f.root.Raw) + `"}]}`
	for _, c := range []struct {
		name, media, fields string
		accepted            bool
	}{
		{"media type and chain", media, "", true},
		{"no media type", "", "", false},
		{"subject, uri and validity", media, `"subject":{"organization":"acme","commonName":"root"},"uri":"` + issuerURL + `","validFor":{"start":"2020-01-01T00:00:00Z"},`, true},
		{"validity over", media, `"validFor":{"start":"2020-01-01T00:00:00Z","end":"2021-01-01T00:00:00Z"},`, false},
		{"validity to come", media, `"validFor":{"start":"2199-01-01T00:00:00Z"},`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := "{" + c.media + `"certificateAuthorities":[{` + c.fields + chain + "}]}"
			judge(t, c.accepted, byCertificate(f.write(t, "bundle.json", f.bundle(f.withCertificate())),
				f.write(t, "root.json", []byte(root)), f.write(t, "artifact", f.artifact)))
		})
	}
}

// TestOpenSSLChain has openssl judge the chain by itself, strictly.
func TestOpenSSLChain(t *testing.T) {
	f := newFixture(t, designProfile)
	leaf := f.write(t, "leaf.pem", pemCertificate(f.leaf))
	accepts(t, "openssl", "verify", "-x509_strict", "-CAfile", f.write(t, "root.pem", pemCertificate(f.root)), leaf)
	other := newFixture(t, designProfile)
	refuses(t, "openssl", "verify", "-x509_strict", "-CAfile", f.write(t, "other.pem", pemCertificate(other.root)), leaf)
}

// judge wants cosign to accept or to refuse.
func judge(t *testing.T, accepted bool, args []string) {
	t.Helper()
	if accepted {
		accepts(t, "cosign", args...)
	} else {
		refuses(t, "cosign", args...)
	}
}
