//go:build interop

package interop

import (
	"os"
	"strings"
	"testing"
)

// TestInspectPageInBrowser: a real browser shows the report about a bundle whose
// every text is an attack, without an error, and runs nothing of it.
func TestInspectPageInBrowser(t *testing.T) {
	p := built(t)
	const attack = `<script>document.title='owned'</script><img src=x onerror="document.title='owned'">`
	must(t, os.WriteFile(p.file("db.yaml"), []byte(`apiVersion: airlock.example/v1
kind: VariableSet
name: 'DB <img src=x onerror="document.title=1">'
version: 1.0.0
variables:
  - {name: "<script>document.title=2</script>", value: one.example}
`), 0o644))
	p.run("--home", "dev", "init", "acme/dev-qa", "--plain-keys", "--person", "Alice <b>bold</b>")
	p.run("--home", "dev", "identity", "export", "-o", "dev-qa.id")
	p.run("--home", "prod", "init", "acme/production", "--plain-keys")
	p.run("--home", "prod", "identity", "export", "-o", "production.id")
	p.run("--home", "prod", "trust", "add", "dev-qa.id", "--thumbprint", p.lineage("dev-qa.id"))
	p.run("--home", "dev", "trust", "add", "production.id", "--thumbprint", p.lineage("production.id"))
	p.run("--home", "dev", "--store", "store", "publish", "shared", "db.yaml")
	p.run("--home", "dev", "--store", "store", "withdraw", "shared", "variable-set/db-img-src-x-onerror-document-title-1@1.0.0", "--reason", attack)
	p.run("--home", "dev", "--store", "store", "bundle", "create", "shared", "--to", "acme/production", "-o", "stick",
		"--label", attack, "--classification", attack)
	p.run("--home", "prod", "inspect", "stick", "--html", "report.html")
	dom, console := browse(t, p.file("report.html"))
	if len(console) > 0 {
		t.Errorf("the console says %q", console)
	}
	for _, want := range []string{"<h2>Checks</h2>", "Good</strong>", "&lt;script&gt;document.title='owned'&lt;/script&gt;", "Alice &lt;b&gt;bold&lt;/b&gt;", "<title>Bundle sha256:"} {
		if !strings.Contains(dom, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{"<script", "<img", "<b>"} {
		if strings.Contains(dom, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
}
