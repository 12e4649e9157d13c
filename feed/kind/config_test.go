package kind

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const configExample = `apiVersion: airlock.example/v1
kind: Server
listen: 127.0.0.1:7070
open: true
limits:
  uploads: 64
  bytes: 64MiB
  pace: 4096
push:
  allow: [10.0.0.0/8, 192.168.0.0/16]
flags:
  quiet: true
  cache-mib: 64
  since: 2026-01-01
  server: https://a.example
`

// readConfig reads a document with one setting of each form.
func readConfig(text string) (said []string, c *Config) {
	setting := func(path string, f Form) Setting {
		return Setting{Path: path, Form: f, Want: "something good", Set: func(text string) bool {
			said = append(said, path+"="+text)
			return text != "bad" && text != "13"
		}}
	}
	c = OpenConfig("server.yaml", []byte(text))
	c.Read("Server", []Setting{setting("listen", Text), setting("open", Flag), setting("limits.uploads", Number), setting("limits.bytes", Size),
		setting("limits.pace", Size), setting("push.allow", List), setting("flags.server", Scalar), setting("flags.*", Scalar)})
	return said, c
}

func TestConfig(t *testing.T) {
	said, c := readConfig(configExample)
	if err := c.Err(); err != nil {
		t.Fatal(err)
	}
	want := []string{"listen=127.0.0.1:7070", "open=true", "limits.uploads=64", "limits.bytes=64MiB", "limits.pace=4096",
		"push.allow=10.0.0.0/8", "push.allow=192.168.0.0/16", "flags.*=true", "flags.*=64", "flags.*=2026-01-01", "flags.server=https://a.example"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
	if c.Document() != "Server" || !c.Says("limits.uploads") || c.Says("limits.waiters") || c.Says("listen.uploads") {
		t.Errorf("document %q, or it says what it does not", c.Document())
	}
	if _, empty := readConfig("apiVersion: airlock.example/v1\nkind: Server\nlimits:\n"); empty.Err() != nil {
		t.Errorf("a mapping of comments alone: %v", empty.Err())
	}
	c.Refuse("limits.uploads", "fewer", "64")
	c.Refuse("listen", "a loopback address", "127.0.0.1:7070")
	c.Refuse("tls.key", "the key's file", "\x1b[1mnothing")
	lines := "server.yaml: tls.key: want the key's file, got \\u001b[1mnothing\n" +
		"server.yaml:3:9: listen: want a loopback address, got 127.0.0.1:7070\n" +
		"server.yaml:6:12: limits.uploads: want fewer, got 64"
	if err := c.Err(); err == nil || err.Error() != lines {
		t.Errorf("got %v", err)
	}
}

func TestConfigRefuses(t *testing.T) {
	for name, c := range map[string]struct{ old, with, want string }{
		"another version":      {"example/v1", "example/v2", `server.yaml:1:13: apiVersion: want airlock.example/v1, got "airlock.example/v2"`},
		"another document":     {"kind: Server", "kind: Subscription", `server.yaml:2:7: kind: want Server, got "Subscription"`},
		"no kind":              {"kind: Server\n", "", "server.yaml:1:1: kind: want Server, got nothing"},
		"unknown field":        {"listen:", "lissen:", `server.yaml:3:1: lissen: want a known field (did you mean listen?), got "lissen"`},
		"unknown field below":  {"uploads:", "upload:", `server.yaml:6:3: limits.upload: want a known field (did you mean uploads?), got "upload"`},
		"text for a mapping":   {"push:\n  allow: [10.0.0.0/8, 192.168.0.0/16]", "push: all", "server.yaml:9:7: push: want a mapping of fields, got text"},
		"mapping for a text":   {"listen: 127.0.0.1:7070", "listen: {a: b}", "server.yaml:3:9: listen: want something good, got a mapping"},
		"text for a number":    {"uploads: 64", `uploads: "64"`, "server.yaml:6:12: limits.uploads: want something good, got text"},
		"number for a text":    {"listen: 127.0.0.1:7070", "listen: 7070", "server.yaml:3:9: listen: want something good, got a number"},
		"text for a flag":      {"open: true", "open: maybe", "server.yaml:4:7: open: want something good, got text"},
		"nothing for a list":   {"allow: [10.0.0.0/8, 192.168.0.0/16]", "allow:", "push.allow: want something good, got null"},
		"nothing":              {"open: true", "open:", "server.yaml:4:6: open: want something good, got null"},
		"list for a flag":      {"quiet: true", "quiet: [true]", "server.yaml:12:10: flags.quiet: want something good, got a list"},
		"number in a list":     {"10.0.0.0/8", "10", "server.yaml:10:11: push.allow[0]: want something good (in quotes), got a number"},
		"twice in a list":      {"10.0.0.0/8", "192.168.0.0/16", "push.allow[1]: want each name once"},
		"refused text":         {"127.0.0.1:7070", "bad", `server.yaml:3:9: listen: want something good, got "bad"`},
		"refused number":       {"uploads: 64", "uploads: 13", `server.yaml:6:12: limits.uploads: want something good, got "13"`},
		"number with a zero":   {"uploads: 64", "uploads: 064", `server.yaml:6:12: limits.uploads: want something good, got "064"`},
		"refused in a list":    {"10.0.0.0/8", "bad", `server.yaml:10:11: push.allow[0]: want something good, got "bad"`},
		"field twice":          {"open: true", "open: true\nopen: true", "each field once"},
		"alias":                {"open: true", "open: &x true", "without anchors"},
		"no mapping":           {configExample, "- a", "server.yaml:1:1: want a mapping of fields, got a list"},
		"two documents":        {"kind: Server\n", "kind: Server\n---\n", "one document in the file"},
		"empty":                {configExample, "", "an empty file"},
		"too long":             {configExample, strings.Repeat("#", MaxConfig+1), fmt.Sprintf("at most %d bytes, got %d bytes", MaxConfig, MaxConfig+1)},
		"a secret as a name":   {"listen:", `"hunter 2 ?!":`, "server.yaml:3:1: …: want a known field, got a text of 11 bytes"},
		"a secret as a value":  {"uploads: 64", `uploads: "hunter 2 ?!"`, "limits.uploads: want something good, got text"},
		"two mistakes at once": {"open: true\nlimits:\n  uploads: 64", "open: 1\nlimits:\n  uploads: x", "open: want something good, got a number\nserver.yaml:6:12: limits.uploads: want something good, got text"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(configExample, c.old) {
				t.Fatalf("the example does not hold %q", c.old)
			}
			_, got := readConfig(strings.Replace(configExample, c.old, c.with, 1))
			if err := got.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// TestConfigAny reads what was written, whatever the order of the fields.
func TestConfigAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`x[a-z]{1,8}(\.[a-z]{1,8})?`), 1, 12, func(s string) string {
			first, _, _ := strings.Cut(s, ".")
			return first
		}).Draw(t, "names")
		text, said := "apiVersion: airlock.example/v1\nkind: Server\n", map[string]string{}
		var settings []Setting
		for _, name := range names {
			value := rapid.StringMatching(`[a-z0-9 ]{0,12}`).Draw(t, name)
			first, rest, below := strings.Cut(name, ".")
			if below {
				text += fmt.Sprintf("%s: {%s: %q}\n", first, rest, value)
			} else {
				text += fmt.Sprintf("%s: %q\n", first, value)
			}
			said[name] = value
			settings = append(settings, Setting{Path: name, Want: "text", Set: func(got string) bool { return got == said[name] }})
		}
		c := OpenConfig("f", []byte(text))
		c.Read("Server", rapid.Permutation(settings).Draw(t, "settings"))
		if err := c.Err(); err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		c = OpenConfig("f", []byte(text))
		if c.Read("Server", settings[1:]); c.Err() == nil {
			t.Fatalf("%s is taken without a setting %s", text, settings[0].Path)
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(configExample))
	f.Add([]byte(`{"apiVersion":"airlock.example/v1","kind":"Server","limits":{"uploads":64}}`))
	f.Add([]byte("limits:\n  uploads: [1"))
	f.Add([]byte("apiVersion: airlock.example/v1\nkind: Server\nlimits:\n  pace: 00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		said, c := readConfig(string(data))
		if err := c.Err(); err != nil {
			if !strings.HasPrefix(err.Error(), "server.yaml") || len(err.Error()) > 40_000 {
				t.Fatalf("odd error: %q", err)
			}
			return
		}
		again, c := readConfig(string(asJSON(c.root)))
		if slices.Sort(said); c.Err() != nil {
			t.Fatal(c.Err())
		}
		if slices.Sort(again); !slices.Equal(said, again) {
			t.Fatalf("read as %v, again as %v", said, again)
		}
	})
}
