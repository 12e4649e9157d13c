package check

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// topLevel are the folders a reader meets first. A further one is a decision
// about the design, not about a file.
var topLevel = []string{".ci", "bundle", "cmd", "docs", "feed", "internal", "receipts", "signing", "storage", "trust"}

// maxLines bounds a Go file that is not a test; most have 80 to 160 lines.
const maxLines = 600

// elsewhere are words that no file may hold, in two halves so that this file
// may be looked at too: folders of one particular machine, and the hosts that
// modules and packages come from, which are the machine's setting.
var elsewhere = []string{
	"/wo" + "rk/", "/ro" + "ot/", "/tm" + "p/",
	"proxy.go" + "lang.org", "sum.go" + "lang.org", "registry.npm" + "js.org", "deb.deb" + "ian.org", "py" + "pi.org",
}

func TestTopLevelFolders(t *testing.T) {
	for _, name := range projectFiles(t) {
		folder, _, nested := strings.Cut(name, "/")
		if nested && !slices.Contains(topLevel, folder) {
			t.Errorf("%s: the top-level folder %s is not one of %v", name, folder, topLevel)
		}
	}
}

func TestFilesStayShort(t *testing.T) {
	for _, f := range goFiles(t) {
		if !f.test && f.lines > maxLines {
			t.Errorf("%s has %d lines, more than %d: it has more than one purpose", f.name, f.lines, maxLines)
		}
	}
}

func TestNothingNamesThisMachine(t *testing.T) {
	for _, name := range projectFiles(t) {
		if base := filepath.Base(name); base == "go.mod" || base == "go.sum" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range bytes.Split(content, []byte("\n")) {
			if word := foreignWord(string(line)); word != "" {
				t.Errorf("%s:%d names %s, which is true on one machine only", name, i+1, word)
			}
		}
	}
}

// foreignWord returns the first word of elsewhere that a line holds. A folder
// counts where a path begins: "a/home/b" is a path of ours.
func foreignWord(line string) string {
	for _, word := range elsewhere {
		at := strings.Index(line, word)
		if at < 0 {
			continue
		}
		if word[0] == '/' && at > 0 && isPathByte(line[at-1]) {
			continue
		}
		return word
	}
	return ""
}

func isPathByte(b byte) bool {
	return b == '_' || b == '-' || b == '.' || b == '}' || b == ')' ||
		'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

func TestForeignWord(t *testing.T) {
	for line, found := range map[string]bool{
		`dir := "/tm` + `p/x"`:                  true,
		"cd /ro" + "ot/airlock":                 true,
		"internal/ro" + "ot/state.go":           false,
		"$(pwd)/wo" + "rk/x":                    false,
		"GOPROXY=https://proxy.go" + "lang.org": true,
		"a plain line":                          false,
	} {
		if got := foreignWord(line) != ""; got != found {
			t.Errorf("%q: found = %v, want %v", line, got, found)
		}
	}
}
