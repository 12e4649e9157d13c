//go:build interop

package interop

import (
	"bufio"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// program is a Space that published to a server, and another Space that
// pulled: what strangers' tools then check.
type program struct {
	t        *testing.T
	bin, dir string
	url      string
}

const entries = 300 // a full tile and part of another

// publishAndPull runs the whole path with the built program.
func publishAndPull(t *testing.T) *program {
	p := built(t)
	must(t, os.Mkdir(p.file("vars"), 0o755))
	for i := range entries {
		doc := fmt.Sprintf("apiVersion: airlock.example/v1\nkind: VariableSet\nname: Set %d\nversion: \"1.0.0\"\nvariables:\n  - name: Host\n    value: host-%d.example\n", i, i)
		must(t, os.WriteFile(p.file("vars", fmt.Sprintf("set-%03d.yaml", i)), []byte(doc), 0o644))
	}
	p.run("--home", "dev", "init", "acme/dev-qa", "--plain-keys", "--issuer", issuerURL, "--person", "Alice")
	p.run("--home", "dev", "identity", "export", "-o", "dev-qa.id")
	p.run("--home", "op", "server", "admit", "dev-qa.id")
	p.serve()
	p.run("--home", "dev", "--server", p.url, "publish", "shared", "vars")
	p.run("--home", "prod", "trust", "add", "dev-qa.id", "--thumbprint", p.lineage("dev-qa.id"))
	p.run("--home", "prod", "--server", p.url, "pull", "acme/dev-qa/shared", "--into", "conf")
	return p
}

// built is the built program in a new folder.
func built(t *testing.T) *program {
	bin, err := filepath.Abs("../../bin/airlock")
	must(t, err)
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("%v; run make build", err)
	}
	return &program{t: t, bin: bin, dir: t.TempDir()}
}

// lineage is what a person would have heard on the telephone.
func (p *program) lineage(identity string) string {
	var id struct{ Lineage string }
	must(p.t, json.Unmarshal([]byte(p.run("identity", "show", identity, "-f", "json")), &id))
	return id.Lineage
}

func (p *program) file(parts ...string) string {
	return filepath.Join(append([]string{p.dir}, parts...)...)
}

func (p *program) try(args ...string) (string, error) {
	cmd := exec.CommandContext(p.t.Context(), p.bin, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir)
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok {
		err = fmt.Errorf("exit code %d: %s", exit.ExitCode(), exit.Stderr)
	}
	return string(out), err
}

func (p *program) run(args ...string) string {
	p.t.Helper()
	out, err := p.try(args...)
	if err != nil {
		p.t.Fatalf("airlock %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func (p *program) serve() {
	p.url = p.start(`^serving .* on (http://\S+)`, "--home", "op", "serve", "--listen", "127.0.0.1:0", "--access-log", "none")
}

// start runs a command that serves until the test ends, and returns the URL
// that it says.
func (p *program) start(says string, args ...string) string {
	cmd := exec.Command(p.bin, args...)
	cmd.Dir = p.dir
	pipe, err := cmd.StderrPipe()
	must(p.t, err)
	must(p.t, cmd.Start())
	p.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	serving := regexp.MustCompile(says)
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		if m := serving.FindStringSubmatch(lines.Text()); m != nil {
			go io.Copy(io.Discard, pipe)
			return m[1]
		}
	}
	p.t.Fatal("the server did not start")
	return ""
}

// flipped writes a copy of a file with one byte changed.
func (p *program) flipped(name string, at int) string {
	b, err := os.ReadFile(p.file(name))
	must(p.t, err)
	b[at] ^= 1
	out := p.file("flipped-" + name)
	must(p.t, os.WriteFile(out, b, 0o644))
	return out
}

// bundleParts are the parts of an exported bundle.
type bundleParts struct {
	VerificationMaterial struct {
		Certificate struct{ RawBytes []byte }
	}
	DSSEEnvelope struct {
		Payload    []byte
		Signatures []struct{ Sig []byte }
	}
}

func (p *program) parts(name string) bundleParts {
	b, err := os.ReadFile(p.file(name))
	must(p.t, err)
	var out bundleParts
	must(p.t, json.Unmarshal(b, &out))
	return out
}

// TestStrangersVerifyPublication: cosign and openssl accept a publication, and
// refuse it once a byte of payload, statement or certificate is another.
func TestStrangersVerifyPublication(t *testing.T) {
	p := publishAndPull(t)
	const pkg = "acme/dev-qa/shared/set-7@1.0.0"
	show := func(args ...string) {
		t.Helper()
		p.run(append([]string{"--home", "prod", "--server", p.url, "show", pkg}, args...)...)
	}
	show("--attestation", "-o", "b.json")
	show("--attestation", "--public-key", "--key-out", "key.pem", "-o", "k.json")
	show("--manifest", "-o", "m.json")
	show("--payload", "set-007.yaml", "-o", "p.yaml")
	p.run("--home", "prod", "trust", "export", "acme/dev-qa", "-o", "tr.json")
	p.run("--home", "prod", "trust", "export", "acme/dev-qa", "--format", "pem", "-o", "roots.pem")

	bundle, root, manifest := p.file("b.json"), p.file("tr.json"), p.file("m.json")
	accepts(t, "cosign", byCertificate(bundle, root, manifest)...)
	accepts(t, "cosign", byKey(p.file("k.json"), p.file("key.pem"), manifest)...)
	wrongType := byCertificate(bundle, root, manifest)
	for i, a := range wrongType {
		if a == predicateType {
			wrongType[i] = strings.Replace(a, "publication", "withdrawal", 1)
		}
	}
	refuses(t, "cosign", wrongType...)

	t.Run("payload", func(t *testing.T) { p.checkPayload(t) })
	t.Run("manifest", func(t *testing.T) {
		other := p.flipped("m.json", 100)
		refuses(t, "cosign", byCertificate(bundle, root, other)...)
		refuses(t, "cosign", byKey(p.file("k.json"), p.file("key.pem"), other)...)
	})
	raw, err := os.ReadFile(bundle)
	must(t, err)
	for part, mark := range map[string]string{"statement": `"payload":"`, "signature": `"sig":"`, "certificate": `"rawBytes":"`} {
		t.Run(part, func(t *testing.T) {
			other := p.flipped("b.json", strings.Index(string(raw), mark)+len(mark)+40)
			refuses(t, "cosign", byCertificate(other, root, manifest)...)
			out, err := p.try("verify", other, "--manifest", manifest, "--identity", "dev-qa.id")
			if err == nil {
				t.Errorf("airlock verify accepted a changed %s:\n%s", part, out)
			}
		})
	}
	p.run("verify", "b.json", "--manifest", "m.json", "--identity", "dev-qa.id")
	t.Run("openssl", func(t *testing.T) { p.checkWithOpenSSL(t) })
}

// checkPayload does what an auditor does by hand: the payload's SHA-256 is in
// the manifest that cosign verified.
func (p *program) checkPayload(t *testing.T) {
	out, err := tool(t, "openssl", "dgst", "-sha256", "-r", p.file("p.yaml"))
	must(t, err)
	digest, _, _ := strings.Cut(out, " ")
	manifest, err := os.ReadFile(p.file("m.json"))
	must(t, err)
	if !strings.Contains(string(manifest), `"digest":"sha256:`+digest+`"`) {
		t.Errorf("the manifest does not name sha256:%s", digest)
	}
	other, err := tool(t, "openssl", "dgst", "-sha256", "-r", p.flipped("p.yaml", 30))
	must(t, err)
	if digest, _, _ := strings.Cut(other, " "); strings.Contains(string(manifest), digest) {
		t.Error("a changed payload has the same digest")
	}
}

// checkWithOpenSSL verifies chain and signature with nothing but openssl.
func (p *program) checkWithOpenSSL(t *testing.T) {
	b := p.parts("b.json")
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.VerificationMaterial.Certificate.RawBytes})
	must(t, os.WriteFile(p.file("leaf.pem"), leaf, 0o644))
	accepts(t, "openssl", "verify", "-x509_strict", "-CAfile", p.file("roots.pem"), p.file("leaf.pem"))
	changed := append([]byte(nil), b.VerificationMaterial.Certificate.RawBytes...)
	changed[len(changed)-5] ^= 1 // in the root's signature
	must(t, os.WriteFile(p.file("leaf2.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: changed}), 0o644))
	refuses(t, "openssl", "verify", "-x509_strict", "-CAfile", p.file("roots.pem"), p.file("leaf2.pem"))

	const payloadType = "application/vnd.in-toto+json"
	pae := func(payload []byte) []byte {
		return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
	}
	must(t, os.WriteFile(p.file("sig.der"), b.DSSEEnvelope.Signatures[0].Sig, 0o644))
	must(t, os.WriteFile(p.file("pae"), pae(b.DSSEEnvelope.Payload), 0o644))
	accepts(t, "openssl", "dgst", "-sha256", "-verify", p.file("key.pem"), "-signature", p.file("sig.der"), p.file("pae"))
	refuses(t, "openssl", "dgst", "-sha256", "-verify", p.file("key.pem"), "-signature", p.file("sig.der"), p.flipped("pae", 60))
}

// TestStrangersReadLog: torchwood verifies checkpoint, tiles, entries and
// inclusion from the server's URL, and refuses them once a byte is another; so
// does airlock verify.
func TestStrangersReadLog(t *testing.T) {
	p := publishAndPull(t)
	vkey := strings.TrimSpace(p.run("--home", "prod", "trust", "export", "acme/dev-qa", "--format", "vkey"))
	reader := filepath.Join(t.TempDir(), "tlogread")
	if out, err := exec.Command("go", "build", "-o", reader, "./tlogread").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	read := func(base string) []string {
		return []string{"-url", base + "/v1/feeds/acme/dev-qa/shared", "-vkey", vkey, "-timeout", "20s"}
	}
	accepts(t, reader, read(p.url)...)
	verify := func(base string) error {
		_, err := p.try("--home", "prod", "--server", base, "verify", "acme/dev-qa/shared")
		return err
	}
	must(t, verify(p.url))

	for _, c := range []struct{ name, path string }{
		{"checkpoint", "/checkpoint"}, {"tile", "/tile/0/000"}, {"partial tile", "/tile/0/001.p/"}, {"higher tile", "/tile/1/000.p/"},
		{"entries", "/tile/entries/000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			forged := p.forger(c.path)
			refuses(t, reader, read(forged)...)
			// Airlock computes entries from segments and reads no entry bundles.
			if c.name != "entries" && verify(forged) == nil {
				t.Errorf("airlock verify accepted a changed %s", c.name)
			}
		})
	}
	for _, path := range []string{"/segment/000", "/segment/001.p/", "/object/"} {
		t.Run("airlock"+strings.ReplaceAll(path, "/", " "), func(t *testing.T) {
			if verify(p.forger(path)) == nil {
				t.Errorf("airlock verify accepted a changed %s", path)
			}
		})
	}
}

// forger is a server between that changes one byte of every answer whose path
// has the given part.
func (p *program) forger(part string) string {
	target, err := url.Parse(p.url)
	must(p.t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(r *http.Response) error {
		if !strings.Contains(r.Request.URL.Path, part) || r.StatusCode != http.StatusOK {
			return nil
		}
		b, err := io.ReadAll(r.Body)
		if err != nil || len(b) == 0 {
			return err
		}
		b[len(b)/2] ^= 1
		r.Body = io.NopCloser(strings.NewReader(string(b)))
		return nil
	}
	s := httptest.NewServer(proxy)
	p.t.Cleanup(s.Close)
	return s.URL
}
