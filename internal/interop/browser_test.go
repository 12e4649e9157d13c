//go:build interop

package interop

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// browse opens a page of the disk in a real browser. It returns the document
// as it stands once all of the page has run, and the lines of the console:
// errors, and what the page's own security policy kept from happening.
func browse(t *testing.T, page string) (dom string, console []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
		"--enable-logging=stderr", "--v=0", "--virtual-time-budget=2000", "--dump-dom", "file://"+page)
	var out, log bytes.Buffer
	c.Stdout, c.Stderr, c.WaitDelay = &out, &log, 5*time.Second
	if err := c.Run(); err != nil {
		t.Fatalf("chromium %s: %v\n%s", page, err, log.String())
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "CONSOLE") {
			console = append(console, line)
		}
	}
	return out.String(), console
}

// A browser that hides what a page does would let every page pass.
func TestBrowserTellsWhatAPageDoes(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	const policy = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'">`
	for _, c := range []struct{ name, head, body, wantInDOM, wantOnConsole string }{
		{"a quiet page", "", `<p>quiet</p>`, "<p>quiet</p>", ""},
		{"a script", "", `<script>document.body.append("it ran")</script>`, "it ran", ""},
		{"an error", "", `<script>undefined.member</script>`, "", "TypeError"},
		{"a script that the page forbids", policy, `<script>document.body.append(1)</script>`, "", "Executing inline script violates"},
		{"an image from elsewhere", policy, `<img src="http://127.0.0.1:1/">`, "", "Loading the image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(page, []byte("<!doctype html><title>page</title>"+c.head+"<body>"+c.body), 0o600); err != nil {
				t.Fatal(err)
			}
			dom, console := browse(t, page)
			if !strings.Contains(dom, c.wantInDOM) {
				t.Errorf("the document is %s", dom)
			}
			if all := strings.Join(console, ""); !strings.Contains(all, c.wantOnConsole) || (c.wantOnConsole == "") != (all == "") {
				t.Errorf("the console says %q, want %q", all, c.wantOnConsole)
			}
		})
	}
}
