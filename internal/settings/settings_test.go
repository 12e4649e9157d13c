package settings

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"airlock/feed/kind"
)

var update = flag.Bool("update", false, "write docs/configuration.md and testdata/server.yaml anew")

// TestGenerated holds that the reference and the example are what the settings say.
func TestGenerated(t *testing.T) {
	for file, want := range map[string][]byte{"../../docs/configuration.md": Reference(), "testdata/server.yaml": Example()} {
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s is not what the settings say (%v): go test ./internal/settings -update writes it", file, err)
		}
	}
}

// TestExplained holds that every setting is explained, and has a default, or an
// example and what it is without.
func TestExplained(t *testing.T) {
	s := Default()
	flags := map[string]bool{}
	for _, section := range s.Sections() {
		if section.Path != "" && section.About == "" {
			t.Errorf("%s is not explained", section.Path)
		}
		for _, f := range section.Fields {
			if f.About == "" || strings.HasSuffix(f.About, ".") || f.More != "" && !strings.HasSuffix(f.More, ".") {
				t.Errorf("%s: about %q, more %q: want one line without a dot, and sentences", f.Path, f.About, f.More)
			}
			if !f.hasDefault() && f.Example == "" {
				t.Errorf("%s has neither a default nor an example", f.Path)
			}
			if flags[f.Flag] {
				t.Errorf("two settings have the flag --%s", f.Flag)
			}
			flags[f.Flag] = true
		}
	}
}

func TestExample(t *testing.T) {
	f := Read("server.yaml", kind.OpenConfig("server.yaml", Example()))
	if err := f.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), f.Server); diff != "" {
		t.Errorf("the example is not the defaults: %s", diff)
	}
	// Without the marks it says everything.
	all := regexp.MustCompile(`(?m)^( *)#([a-z])`).ReplaceAll(Example(), []byte("$1$2"))
	f = Read("server.yaml", kind.OpenConfig("server.yaml", all))
	if err := f.Err(); err != nil {
		t.Fatalf("%v\n%s", err, all)
	}
	for _, field := range f.Server.Fields() {
		if !f.Says(field.Path) {
			t.Errorf("the example does not say %s", field.Path)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"listen: 7070":                                "listen: want an address with a port, such as 127.0.0.1:7070, got a number",
		"listen: localhost":                           `listen: want an address with a port, such as 127.0.0.1:7070, got "localhost"`,
		"listen: ''":                                  "got an empty text",
		"advertise: 10.0.0.1:7070":                    "advertise: want a URL such as https://10.0.0.1:7070, or http on loopback",
		"advertise: http://10.0.0.1:7070":             "advertise: want a URL",
		"advertise: https://u:p@10.0.0.1":             "advertise: want a URL such as https://10.0.0.1:7070, or http on loopback, got \"https://u:p@10.0.0.1\"",
		"access: everybody":                           `access: want open or credentials, got "everybody"`,
		"cache: 0":                                    "cache: want a size such as 64MiB, above zero",
		"cache: 64 MiB":                               "cache: want a size",
		"commitWindow: 20m":                           `commitWindow: want a time span such as 5s, at most 10s, got "20m"`,
		"commitWindow: -1s":                           "commitWindow: want a time span",
		"drain: 10":                                   "drain: want a time span such as 5s, at most 1h, got a number",
		"limits: {uploads: 0}":                        `limits.uploads: want a whole number, above zero, got "0"`,
		"limits: {uploads: 1.5}":                      "limits.uploads: want a whole number",
		"limits: {upload: 1}":                         "limits.upload: want a known field (did you mean uploads?)",
		"tls: {mode: other}":                          "tls.mode: want self, got",
		"logs: {access: \"a\\nb\"}":                   "logs.access: want a file, - for standard error, or none",
		"push: {to: 10.0.0.0/8}":                      "push.to: want ranges of addresses such as 10.0.0.0/8, or 10.1.2.3/32 for one, got text",
		"push: {to: [10.1.2.3/8]}":                    `want ranges of addresses such as 10.0.0.0/8, or 10.1.2.3/32 for one, got "10.1.2.3/8"`,
		"push: {to: [10.1.2.3]}":                      `or 10.1.2.3/32 for one, got "10.1.2.3"`,
		"push: {giveUp: 0s}":                          "push.giveUp: want a time span such as 5s, above zero",
		"tracing: {endpoint: 'http://10.0.0.1:4318'}": "tracing.endpoint: want a URL such as https://10.0.0.1:7070, or http on loopback",
		"tracing: {sample: 1.01}":                     `tracing.sample: want a share from 0 to 1, such as 0.1, got "1.01"`,
		"tracing: {sample: 1e-1}":                     "tracing.sample: want a share",
		"tracing: {sample: '0.1'}":                    "tracing.sample: want a share from 0 to 1, such as 0.1, got text",
		"limit: {uploads: 1}":                         "limit: want a known field (did you mean limits?)",
	} {
		f := Read("server.yaml", kind.OpenConfig("server.yaml", []byte("apiVersion: airlock.example/v1\nkind: Server\n"+line+"\n")))
		if err := f.Err(); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "server.yaml:3:") {
			t.Errorf("%s: got %v, want %s", line, err, want)
		}
	}
}

func TestOver(t *testing.T) {
	text := "apiVersion: airlock.example/v1\nkind: Server\nlisten: 127.0.0.1:1\nstore: s3://bucket\ncache: 1GiB\ntls: {cert: a/b.pem, key: /c.pem}\n" +
		"logs: {access: '-', audit: none}\nlimits: {uploads: 1, maxWait: 10s}\n"
	f := Read(filepath.Join("etc", "server.yaml"), kind.OpenConfig("server.yaml", []byte(text)))
	if err := f.Err(); err != nil {
		t.Fatal(err)
	}
	base := Default()
	base.Listen, base.Drain, base.Limits.Uploads = "127.0.0.1:2", time.Second, 7
	want := base
	want.Store, want.Cache, want.TLS.Cert, want.TLS.Key, want.Logs.Audit = "s3://bucket", 1<<30, filepath.Join("etc", "a", "b.pem"), "/c.pem", "none"
	want.Limits.Uploads, want.Limits.MaxWait = 1, 10*time.Second
	got := f.Over(base, func(flag string) bool { return flag == "listen" })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTake(t *testing.T) {
	s, next := Default(), Default()
	next.Limits.Uploads, next.Limits.HeaderTime, next.Listen, next.TLS.Cert = 1, time.Second, "127.0.0.1:1", "c.pem"
	want := Default()
	want.Limits.Uploads, want.TLS.Cert = 1, "c.pem"
	changes := s.Take(next)
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Change{{"listen", "127.0.0.1:7070", "127.0.0.1:1", false}, {"tls.cert", "", "c.pem", true},
		{"limits.uploads", "128", "1", true}, {"limits.headerTime", "10s", "1s", false}}, changes); diff != "" {
		t.Error(diff)
	}
	if again := s.Take(want); len(again) > 0 {
		t.Errorf("again: %v", again)
	}
}

// forms has a field of each form that settings may have.
type forms struct {
	Text, URLText string
	Yes           bool
	Names         []string
	Ranges        []netip.Prefix
	In            struct {
		DeepTTL time.Duration `most:"1h"`
		Count   int
		Size    int64
	} `positive:"true" live:"true" hidden:"true"`
}

func TestSections(t *testing.T) {
	var s forms
	var paths, flags []string
	for _, section := range sections(&s) {
		for i, f := range section.Fields {
			paths, flags = append(paths, f.Path), append(flags, f.Flag)
			if deep := strings.HasPrefix(f.Path, "in."); f.Live != deep || f.Hidden != deep {
				t.Errorf("%s: live %v, hidden %v", f.Path, f.Live, f.Hidden)
			}
			text := map[string]string{"string": "x", "bool": "true", "strings": "a,b", "ranges": "10.0.0.0/8,fd00::/8", "duration": "1m", "int": "3", "size": "3K"}[f.Type()]
			if err := section.Fields[i].Set(text); err != nil || f.Zero() {
				t.Errorf("%s: %v", f.Path, err)
			}
		}
	}
	if !slices.Equal(paths, []string{"text", "urlText", "yes", "names", "ranges", "in.deepTTL", "in.count", "in.size"}) ||
		!slices.Equal(flags[1:6], []string{"url-text", "yes", "names", "ranges", "in-deep-ttl"}) {
		t.Errorf("%v %v", paths, flags)
	}
	if !s.Yes || !slices.Equal(s.Names, []string{"a", "b"}) || len(s.Ranges) != 2 || s.Ranges[1] != netip.MustParsePrefix("fd00::/8") || s.In.DeepTTL != time.Minute || s.In.Count != 3 || s.In.Size != 3072 {
		t.Errorf("%+v", s)
	}
}

// TestSettingsAny writes any settings down and reads them again.
func TestSettingsAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Default()
		want.Cache = rapid.Int64Range(1, 1<<50).Draw(t, "cache")
		want.CommitWindow = time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(t, "window"))
		want.Drain = time.Duration(rapid.Int64Range(0, 3600).Draw(t, "drain")) * time.Second
		want.Store = rapid.SampledFrom([]string{"", "s3://bucket/x", "/srv/a b: #c", "/srv/'x'", "/1e3"}).Draw(t, "store")
		want.Access = rapid.SampledFrom([]string{"", Open, Credentials}).Draw(t, "access")
		want.Limits.Waiters = rapid.IntRange(1, 1<<30).Draw(t, "waiters")
		text := "apiVersion: airlock.example/v1\nkind: Server\n"
		for _, f := range want.Fields() {
			if value := f.String(); value != "" && !strings.Contains(f.Path, ".") {
				text += f.Path + ": " + f.yaml(value) + "\n"
			}
		}
		text += "limits: {waiters: " + want.Field("limits.waiters").String() + "}\n"
		f := Read("/etc/server.yaml", kind.OpenConfig("server.yaml", []byte(text)))
		if err := f.Err(); err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		if diff := cmp.Diff(want, f.Server); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add(Example())
	f.Add([]byte("apiVersion: airlock.example/v1\nkind: Server\nlimits: {uploads: 1, pace: 1T, grace: 1ns}\nadvertise: https://[::1]:1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := Read("/etc/server.yaml", kind.OpenConfig("server.yaml", data))
		if file.Err() != nil {
			return
		}
		for _, field := range file.Server.Fields() {
			if err := field.Set(field.String()); err != nil {
				t.Errorf("%s: %q: %v", field.Path, field.String(), err)
			}
		}
	})
}

func TestProblems(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := write("text.pem", "no PEM")
	for name, c := range map[string]struct {
		change func(*Server)
		want   string // paths with a space between
	}{
		"the default":                {func(*Server) {}, ""},
		"open elsewhere":             {func(s *Server) { s.Listen, s.Access = ":7070", Open }, "access"},
		"credentials elsewhere":      {func(s *Server) { s.Listen, s.Access = ":7070", Credentials }, ""},
		"elsewhere":                  {func(s *Server) { s.Listen = ":7070" }, ""},
		"open on loopback":           {func(s *Server) { s.Access = Open }, ""},
		"no such port":               {func(s *Server) { s.Listen = "127.0.0.1:seventy" }, "listen"},
		"a batch that has no room":   {func(s *Server) { s.Limits.BatchMemory = s.Limits.BatchBytes - 1 }, "limits.batchMemory"},
		"a batch that has just room": {func(s *Server) { s.Limits.BatchMemory = s.Limits.BatchBytes }, ""},
		"made":                       {func(s *Server) { s.TLS.Mode = Self }, ""},
		"made and brought":           {func(s *Server) { s.TLS = TLS{Self, text, ""} }, "tls.mode"},
		"no key":                     {func(s *Server) { s.TLS.Cert = text }, "tls.key"},
		"no certificate":             {func(s *Server) { s.TLS.Key = text }, "tls.cert"},
		"no files":                   {func(s *Server) { s.TLS = TLS{"", text + "1", text + "2"} }, "tls.cert tls.key"},
		"no PEM":                     {func(s *Server) { s.TLS = TLS{"", text, text} }, "tls.cert"},
		"several":                    {func(s *Server) { s.Listen, s.Access, s.TLS.Key = ":7070", Open, text }, "access tls.cert"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Default()
			c.change(&s)
			var got []string
			for _, p := range s.Problems() {
				if got = append(got, p.Path); p.Want == "" || p.Got == "" || p.Hint == "" {
					t.Errorf("%+v says too little", p)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("problems with %v, want %s", got, c.want)
			}
		})
	}
}
