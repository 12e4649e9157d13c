//go:build interop

package interop

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// audited is the evidence folder of an audit, and every file of it.
func audited(t *testing.T) (p *program, files []string) {
	p = pullWithReceipts(t)
	p.run("--home", "dev", "audit", "acme/production", "--from", "prodstore", "--from", "devstore", "--tsa-certs", "tsa-root.pem", "--evidence", "out")
	must(t, filepath.WalkDir(p.file("out"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	}))
	if len(files) != 25 {
		t.Fatalf("evidence of two receipts is %d files: %q", len(files), files)
	}
	return p, files
}

// changed runs do while a file holds something else.
func changed(t *testing.T, path string, change func([]byte) []byte, do func()) {
	t.Helper()
	was, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, change(append([]byte(nil), was...)), 0o644))
	defer func() { must(t, os.WriteFile(path, was, 0o644)) }()
	do()
}

// flipAt changes one byte and keeps the length.
func flipAt(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[at] ^= 1; return b }
}

// TestStrangersRepeatAudit: the evidence folder's own script, which knows cosign
// and openssl alone, passes, and fails once any one byte of any file is another.
func TestStrangersRepeatAudit(t *testing.T) {
	p, files := audited(t)
	check := p.file("out", "check.sh")
	accepts(t, "sh", check)
	for _, path := range files {
		if path == check {
			continue // it would not be the check any more
		}
		info, err := os.Stat(path)
		must(t, err)
		for _, at := range []int64{0, info.Size() / 3, info.Size() / 2, info.Size() - 1} {
			changed(t, path, flipAt(int(at)), func() { refuses(t, "sh", check) })
		}
		changed(t, path, func(b []byte) []byte { return append(b, '\n') }, func() { refuses(t, "sh", check) })
		must(t, os.Rename(path, p.file("gone")))
		refuses(t, "sh", check)
		must(t, os.Rename(p.file("gone"), path))
	}
	must(t, os.WriteFile(p.file("out", "more"), nil, 0o644))
	refuses(t, "sh", check)
	must(t, os.Remove(p.file("out", "more")))
	accepts(t, "sh", check)
}

// resum writes the digests anew, as whoever changed a file on purpose would.
func resum(t *testing.T, p *program) {
	sums, err := os.ReadFile(p.file("out", "SHA256SUMS"))
	must(t, err)
	before := digestHex(sums)
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(string(sums)), "\n") {
		b, err := os.ReadFile(p.file("out", line[66:]))
		must(t, err)
		fmt.Fprintf(&out, "%s  %s\n", digestHex(b), line[66:])
	}
	must(t, os.WriteFile(p.file("out", "SHA256SUMS"), []byte(out.String()), 0o644))
	check, err := os.ReadFile(p.file("out", "check.sh"))
	must(t, err)
	must(t, os.WriteFile(p.file("out", "check.sh"), []byte(strings.Replace(string(check), before, digestHex([]byte(out.String())), 1)), 0o644))
}

func digestHex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestStrangersNeedNoSums: what is signed is refused when it was changed, even
// if every digest of the folder was made to fit.
func TestStrangersNeedNoSums(t *testing.T) {
	p, files := audited(t)
	check := p.file("out", "check.sh")
	refusedAt := func(path, part string, skip int) {
		t.Helper()
		raw, err := os.ReadFile(path)
		must(t, err)
		at := strings.Index(string(raw), part)
		if at < 0 {
			t.Fatalf("%s has no %s", path, part)
		}
		changed(t, path, flipAt(at+len(part)+skip), func() { resum(t, p); refuses(t, "sh", check) })
	}
	bundle := p.file("out", "receipts", "2.sigstore.json")
	for _, part := range []string{`"payload":"`, `"sig":"`, `"rawBytes":"`, `"signedTimestamp":"`, `"canonicalizedBody":"`, `"envelope":"`, `"hashes":["`} {
		refusedAt(bundle, part, 20)
	}
	for _, path := range files {
		name := strings.TrimPrefix(filepath.ToSlash(path), filepath.ToSlash(p.file("out"))+"/")
		switch dir, _, _ := strings.Cut(name, "/"); {
		case name == "receipts/2.sig", name == "receipts/2.tsr", dir == "subjects", dir == "identities",
			dir == "publications" && !strings.HasSuffix(name, ".pem"):
			refusedAt(path, "", 40)
		case dir == "publications", dir == "roots", name == "tsa-roots.pem":
			refusedAt(path, "\n", 200)
		}
	}
	resum(t, p)
	accepts(t, "sh", check)
}
