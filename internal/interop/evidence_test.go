//go:build interop

package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// evidence is the folder that an audit wrote.
type evidence struct {
	t     *testing.T
	dir   string
	files map[string][]byte // by slash-separated name
	noted string            // what it said to write down, as sha256sum -c takes it
}

// audited is the evidence of what a Space did.
func (p *program) audited() *evidence {
	e := &evidence{t: p.t, dir: p.file("out"), files: map[string][]byte{}}
	said, err := tool(p.t, p.bin, "--home", p.file("dev"), "audit", "acme/production", "--from", p.file("prodstore"), "--from", p.file("devstore"),
		"--tsa-certs", p.file("tsa-root.pem"), "--evidence", e.dir)
	if err != nil {
		p.t.Fatalf("%v\n%s", err, said)
	}
	if noted := regexp.MustCompile(`(?m)^([0-9a-f]{64}  check\.sh)  \(`).FindStringSubmatch(said); noted != nil {
		e.noted = noted[1] + "\n"
	}
	must(p.t, fs.WalkDir(os.DirFS(e.dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			e.files[name], err = os.ReadFile(filepath.Join(e.dir, name))
		}
		return err
	}))
	return e
}

// edit is one byte that is another.
type edit struct {
	name string
	at   int
}

// eachRefused makes each edit in a copy of the folder, in as many copies at once
// as there are processors, and wants check.sh to fail and to say that; forge, if
// there is one, is what the forger does then. Untouched, the copies pass.
func (e *evidence) eachRefused(edits []edit, says string, forge func(dir string)) {
	next, all := make(chan edit), sync.WaitGroup{}
	for range runtime.NumCPU() {
		dir := filepath.Join(e.t.TempDir(), "copy")
		must(e.t, os.CopyFS(dir, os.DirFS(e.dir)))
		all.Go(func() {
			check := filepath.Join(dir, "check.sh")
			accepts(e.t, "sh", check)
			for edit := range next {
				if e.t.Failed() {
					continue
				}
				e.write(dir, edit.name, flipped(e.files[edit.name], edit.at))
				if forge != nil {
					forge(dir)
				}
				if said, err := tool(e.t, "sh", check); err == nil || !strings.Contains(said, says) {
					e.t.Errorf("byte %d of %s is another, and check.sh says: %v\n%s", edit.at, edit.name, err, said)
				}
				for _, name := range []string{edit.name, "SHA256SUMS", "check.sh"} {
					e.write(dir, name, e.files[name])
				}
			}
			accepts(e.t, "sh", check)
		})
	}
	for _, edit := range edits {
		next <- edit
	}
	close(next)
	all.Wait()
}

func (e *evidence) write(dir, name string, b []byte) {
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		e.t.Error(err)
	}
}

// TestStrangersRepeatAudit: the evidence folder's own script, which knows cosign
// and openssl alone, passes, and fails once any one byte of any file is another,
// and once a file is longer, gone or too many.
func TestStrangersRepeatAudit(t *testing.T) {
	e := pulled(t, "a").audited()
	check := filepath.Join(e.dir, "check.sh")
	accepts(t, "sh", check)
	var edits []edit
	for name, b := range e.files {
		if name == "check.sh" {
			continue // it would not be the check any more; see TestScriptHasItsDigest
		}
		for at := range b {
			edits = append(edits, edit{name, at})
		}
		path := filepath.Join(e.dir, name)
		e.write(e.dir, name, append(bytes.Clone(b), '\n'))
		refuses(t, "sh", check)
		must(t, os.Remove(path))
		refuses(t, "sh", check)
		e.write(e.dir, name, b)
	}
	e.write(e.dir, "more", nil)
	refuses(t, "sh", check)
	must(t, os.Remove(filepath.Join(e.dir, "more")))
	if len(e.files) != 20 || len(edits) < 20_000 {
		t.Fatalf("evidence of one receipt is %d bytes in %d files", len(edits), len(e.files))
	}
	t.Logf("%d bytes of %d files", len(edits), len(e.files)-1)
	e.eachRefused(edits, "is not what was written", nil)
}

// TestScriptHasItsDigest: what the audit says to write down tells a script of
// which any one byte is another.
func TestScriptHasItsDigest(t *testing.T) {
	e := pulled(t, "a").audited()
	script, dir := e.files["check.sh"], t.TempDir()
	e.write(dir, "check.sh", script)
	list := e.noted
	for at := range script {
		name := fmt.Sprint("check.sh.", at)
		e.write(dir, name, flipped(script, at))
		list += strings.Replace(e.noted, "check.sh", name, 1)
	}
	e.write(dir, "noted", []byte(list))
	said, _ := tool(t, "sh", "-c", `cd "$1" && sha256sum -c noted`, "sh", dir)
	if ok, refused := strings.Count(said, ": OK\n"), strings.Count(said, ": FAILED\n"); !strings.Contains(said, "check.sh: OK\n") || ok != 1 || refused != len(script) {
		t.Errorf("of %d scripts with another byte, %d are refused, and %d with the one that was written are not:\n%.1000s", len(script), refused, ok, said)
	}
}

// flipped is a copy in which one byte is another.
func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// resum writes the digests anew, as whoever changed a file on purpose would.
func (e *evidence) resum(dir string) {
	var sums strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(string(e.files["SHA256SUMS"])), "\n") {
		b, err := os.ReadFile(filepath.Join(dir, line[66:]))
		if err != nil {
			e.t.Error(err)
		}
		fmt.Fprintf(&sums, "%s  %s\n", digestHex(b), line[66:])
	}
	e.write(dir, "SHA256SUMS", []byte(sums.String()))
	e.write(dir, "check.sh", bytes.Replace(e.files["check.sh"], []byte(digestHex(e.files["SHA256SUMS"])), []byte(digestHex([]byte(sums.String()))), 1))
}

func digestHex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestStrangersNeedNoSums: what is signed is refused when it was changed, at
// four places of each, even if every digest of the folder was made to fit. So is
// what says which of the files belong together. What nobody signs is not here:
// the report, and the certificate of the time authority, which people compare.
func TestStrangersNeedNoSums(t *testing.T) {
	p := pulled(t, "a")
	p.run("--home", "prod", "--store", "prodstore", "identity", "rotate")
	p.take("b")
	p.run("--home", "dev", "pull", "acme/production/receipts", "--from", "prodstore")
	e := p.audited()
	var edits []edit
	// between adds four places of what stands in a file between two texts.
	between := func(name, from, to string) {
		text := string(e.files[name])
		start := strings.Index(text, from) + len(from)
		end := strings.Index(text[start:], to)
		if start < len(from) || end < 40 {
			t.Fatalf("%s has nothing between %q and %q", name, from, to)
		}
		for i := range 4 {
			at := start + (2*i+1)*(end-4)/8 // the last characters of base64 need not count
			if text[at] == '\n' {
				at++
			}
			edits = append(edits, edit{name, at})
		}
	}
	for _, part := range []string{`"payload":"`, `"sig":"`, `"rawBytes":"`, `"signedTimestamp":"`, `"canonicalizedBody":"`, `"envelope":"`, `"hashes":["`, `"rootHash":"`} {
		between("receipts/2.sigstore.json", part, `"`)
	}
	between("trusted_root.json", `"rawBytes": "`, `"`) // the log's key
	between("identities/acme.production.2.json", `"root":"`, `"`)
	for name, b := range e.files {
		dir, _, _ := strings.Cut(name, "/")
		switch {
		case strings.HasSuffix(name, ".pem") && name != "tsa-roots.pem":
			between(name, "CERTIFICATE-----\n", "\n-----END")
		case name == "receipts/2.sig", name == "receipts/2.tsr", name == "opening.json", name == "opening.sig",
			dir == "subjects", dir == "publications", strings.HasPrefix(name, "identities/") && strings.HasSuffix(name, ".1.json"):
			for i := range 4 {
				edits = append(edits, edit{name, (2*i + 1) * len(b) / 8})
			}
		}
	}
	// The first receipt's package, its publication; the first publication, its Space.
	edits = append(edits, edit{"receipts.list", 12}, edit{"receipts.list", 77}, edit{"publications.list", 10}, edit{"publications.list", 70})
	// Of the receipt, the log's key and the next root; of the opening, its parts;
	// receipt and stamp; packages, publications and their parts; identities.
	if want := 4*(8+1+1) + 4*3 + 4*2 + 4*(2+2*3+2) + 4; len(edits) != want {
		t.Fatalf("%d places are tried, want %d: %v", len(edits), want, edits)
	}
	e.eachRefused(edits, "checks failed", e.resum)
	e.resum(e.dir)
	accepts(t, "sh", filepath.Join(e.dir, "check.sh"))
}

// TestStrangersGoByLineage: a folder of which all was made by a forger, but for
// the identities of the Spaces that it names and the lineages that the script
// prints, is refused.
func TestStrangersGoByLineage(t *testing.T) {
	honest, forged := pulled(t, "a").audited(), pulled(t, "a").audited()
	for name, b := range honest.files {
		if !strings.HasPrefix(name, "identities/") {
			continue
		}
		forged.write(forged.dir, name, b)
		old := []byte(digestHex(forged.files[name]))
		forged.files["check.sh"] = bytes.Replace(forged.files["check.sh"], old, []byte(digestHex(b)), 1)
	}
	forged.resum(forged.dir)
	said, err := tool(t, "sh", filepath.Join(forged.dir, "check.sh"))
	for _, what := range []string{"opening: certificate", "receipts/2: certificate", ": is not of acme.dev-qa", "5 checks failed"} {
		if err == nil || !strings.Contains(said, "FAILED: "+what) && !strings.Contains(said, what+"\n") {
			t.Errorf("does not say %q: %v\n%s", what, err, said)
		}
	}
	// Another log beside the Space's own is one in which anything may stand.
	log := bytes.Replace(honest.files["trusted_root.json"], []byte("    }\n  ],"), []byte("    },{}\n  ],"), 1)
	honest.write(honest.dir, "trusted_root.json", log)
	honest.resum(honest.dir)
	if said, err := tool(t, "sh", filepath.Join(honest.dir, "check.sh")); err == nil || !strings.Contains(said, "has other logs than") {
		t.Errorf("of a second log: %v\n%s", err, said)
	}
}
