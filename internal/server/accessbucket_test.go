package server

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/storage"
	"airlock/trust"
)

// exampleBucket is a bucket with everything in it.
func exampleBucket() (int, *accessBucket) {
	space := trust.Space{Organisation: "acme", Name: "dev-qa"}
	n := bucketOf(space)
	b := &accessBucket{}
	of := b.edit(space)
	of.Audiences = map[string]feedhttp.Audience{
		"receipts": {All: true},
		"secret":   {},
		"shared":   {Groups: []string{"live"}, Spaces: []string{"acme/audit", "acme/production"}},
	}
	of.Bounds = map[string]feedhttp.Audience{"receipts": {All: true}, "shared": {Groups: []string{"live"}}}
	of.Quota = &Quota{Bytes: 10 << 30, Packages: 1000, Requests: 50}
	of.Dismissed, of.Groups, of.Identity = true, []string{"east", "test"}, 3
	of.Tokens = []tokenRecord{
		{Hash: storage.DigestOf([]byte("one")), ID: fmt.Sprintf("%02daaaaaaaaaa", n), Made: 1767225600, Until: 1775001600},
		{Feeds: []feed.Pattern{"acme/*/shared", "acme/dev-qa/*"}, Hash: storage.DigestOf([]byte("two")), ID: fmt.Sprintf("%02dk3m2qxwz5a", n), Made: 1767225600, Note: "agent on web-1", Until: 1775001600},
	}
	return n, b
}

// The byte-exact examples of docs/formats.md.
func TestAccessExamples(t *testing.T) {
	n, b := exampleBucket()
	raw, err := b.format(n)
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, "testdata/access.json", raw)
	if _, err := parseBucket(n, raw); err != nil {
		t.Error(err)
	}
	want, err := os.ReadFile("testdata/access-head.json")
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseAccessHead(bytes.TrimSuffix(want, []byte("\n")))
	if err != nil || h.Versions[n] != 3 || h.Versions[commonBucket] != 1 {
		t.Errorf("%+v, %v", h, err)
	}
}

func wantFile(t *testing.T, name string, got []byte) {
	t.Helper()
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if want = bytes.TrimSuffix(want, []byte("\n")); !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, want, got)
	}
}

// TestBucketRefused: what breaks a rule of the format is neither written nor read.
func TestBucketRefused(t *testing.T) {
	n, _ := exampleBucket()
	for what, change := range map[string]func(*accessBucket, *spaceAccess){
		"tokens of administrators": func(b *accessBucket, s *spaceAccess) { b.Tokens, s.Tokens = s.Tokens, nil },
		"stands in another cell":   func(b *accessBucket, s *spaceAccess) { b.Spaces["acme/production"] = s },
		"want <organisation>":      func(b *accessBucket, s *spaceAccess) { b.Spaces["space://acme/dev-qa"] = s },
		"not in order":             func(_ *accessBucket, s *spaceAccess) { s.Tokens[0], s.Tokens[1] = s.Tokens[1], s.Tokens[0] },
		"or twice":                 func(_ *accessBucket, s *spaceAccess) { s.Tokens[0] = s.Tokens[1] },
		"identity version -1":      func(_ *accessBucket, s *spaceAccess) { s.Identity = -1 },
		"id: want 12 characters":   func(_ *accessBucket, s *spaceAccess) { s.Tokens[0].ID = "99aaaaaaaaaa" },
		"hash: is missing":         func(_ *accessBucket, s *spaceAccess) { s.Tokens[0].Hash = storage.Digest{} },
		"want times in order":      func(_ *accessBucket, s *spaceAccess) { s.Tokens[0].Until = s.Tokens[0].Made },
		"patterns of feeds: not":   func(_ *accessBucket, s *spaceAccess) { s.Tokens[1].Feeds[1] = s.Tokens[1].Feeds[0] },
		"group east: not in":       func(_ *accessBucket, s *spaceAccess) { s.Groups[1] = s.Groups[0] },
		"group: label":             func(_ *accessBucket, s *spaceAccess) { s.Groups[1] = "West" },
		"in 101 groups":            func(_ *accessBucket, s *spaceAccess) { s.Groups = make([]string, 101) },
		`feed "Shared"`:            func(_ *accessBucket, s *spaceAccess) { s.Audiences["Shared"] = feedhttp.Audience{} },
		"all, or at most 1000": func(_ *accessBucket, s *spaceAccess) {
			s.Audiences["receipts"] = feedhttp.Audience{All: true, Groups: []string{"x"}}
		},
		"space acme/x: not in": func(_ *accessBucket, s *spaceAccess) {
			s.Audiences["shared"] = feedhttp.Audience{Spaces: []string{"acme/x", "acme/x"}}
		},
		`space "x"`: func(_ *accessBucket, s *spaceAccess) {
			s.Audiences["shared"] = feedhttp.Audience{Spaces: []string{"x"}}
		},
		"group x: not in": func(_ *accessBucket, s *spaceAccess) {
			s.Audiences["shared"] = feedhttp.Audience{Groups: []string{"x", "x"}}
		},
		"is without a word": func(_ *accessBucket, s *spaceAccess) { s.Bounds["other"] = feedhttp.Audience{All: true} },
		"space \"y\"":       func(_ *accessBucket, s *spaceAccess) { s.Bounds["shared"] = feedhttp.Audience{Spaces: []string{"y"}} },
		"without a word": func(_ *accessBucket, s *spaceAccess) {
			delete(s.Bounds, "shared")
			s.Audiences["shared"] = feedhttp.Audience{All: true}
		},
		"quota: of nothing": func(_ *accessBucket, s *spaceAccess) { *s.Quota = Quota{} },
		"quota: -1":         func(_ *accessBucket, s *spaceAccess) { s.Quota.Bytes = -1 },
		"quota: 1000001":    func(_ *accessBucket, s *spaceAccess) { s.Quota.Requests = 1000001 },
		"note: ":            func(_ *accessBucket, s *spaceAccess) { s.Tokens[1].Note = "a\x1b[2J" },
	} {
		_, b := exampleBucket()
		change(b, b.Spaces["acme/dev-qa"])
		if _, err := b.format(n); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, raw := range map[string]string{
		"this version knows": `{"format":"airlock-access 2","spaces":{}}`,
		"at most 4194304":    `{"format":"airlock-access 1"` + strings.Repeat(" ", maxAccess),
		"canonical":          `{"format":"airlock-access 1","extra":1}`,
		"pattern":            `{"format":"airlock-access 1","tokens":[{"feeds":["x"]}]}`,
	} {
		if _, err := parseBucket(n, []byte(raw)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%.60s: %v", raw, err)
		}
	}
	if _, err := parseBucket(n, []byte(`{"format":"airlock-access 2"}`)); !errors.As(err, new(*storage.FormatError)) {
		t.Errorf("another version: %v", err)
	}
}

// TestAccessHeadRefused reads heads that nobody wrote.
func TestAccessHeadRefused(t *testing.T) {
	ones := strings.TrimSuffix(strings.Repeat("1,", allBuckets), ",")
	for what, raw := range map[string]string{
		"this version knows": `{"format":"airlock-access-head 2"}`,
		"64 versions":        `{"format":"airlock-access-head 1","versions":[` + ones[2:] + `]}`,
		"version -1":         `{"format":"airlock-access-head 1","versions":[-` + ones + `]}`,
		"at most 4096 are":   `{"format":"airlock-access-head 1"` + strings.Repeat(" ", maxAccessHead),
		"canonical":          `{"format":"airlock-access-head 1","versions":[` + ones + `],"x":1}`,
	} {
		if _, err := parseAccessHead([]byte(raw)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%.60s: %v", raw, err)
		}
	}
}

// TestBucketReads: what is written reads as the same, whatever it says.
func TestBucketReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, n := &accessBucket{}, rapid.IntRange(0, accessBuckets).Draw(t, "bucket")
		tokens := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z2-7]{10}`), 0, 3, rapid.ID)
		draw := func() (out []tokenRecord) {
			for _, id := range tokens.Draw(t, "ids") {
				r := tokenRecord{Hash: storage.DigestOf([]byte(id)), ID: fmt.Sprintf("%02d%s", n, id), Made: rapid.Int64Range(0, 1<<35).Draw(t, "made"),
					Note: rapid.StringMatching(`[ -~äß]{0,20}`).Draw(t, "note")}
				r.Until = r.Made + rapid.Int64Range(1, 1<<30).Draw(t, "for")
				out = append(out, r)
			}
			sortTokens(out)
			return out
		}
		if n == commonBucket {
			b.Tokens = draw()
		}
		for _, name := range rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,8}`), 0, 40).Draw(t, "names") {
			space := trust.Space{Organisation: "acme", Name: name}
			if trust.CheckLabel(name) == nil && bucketOf(space) == n {
				of := b.edit(space)
				of.Tokens, of.Dismissed = draw(), rapid.Bool().Draw(t, "dismissed")
				if n := rapid.Int64Range(0, 1<<50).Draw(t, "bytes"); n > 0 {
					of.Quota = &Quota{Bytes: n}
				}
				if rapid.Bool().Draw(t, "restricted") {
					of.Audiences = map[string]feedhttp.Audience{"shared": {Groups: []string{"live"}}}
					of.Groups = []string{rapid.StringMatching(`g[a-z]{0,5}`).Draw(t, "group")}
				}
			}
		}
		raw, err := b.format(n)
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseBucket(n, raw)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := back.format(n); err != nil || !bytes.Equal(raw, again) {
			t.Errorf("%s\n%s, %v", raw, again, err)
		}
	})
}

// FuzzBucket: what parses is written again as it came.
func FuzzBucket(f *testing.F) {
	n, b := exampleBucket()
	raw, err := b.format(n)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(n, raw)
	f.Add(commonBucket, []byte(`{"format":"airlock-access 1"}`))
	f.Fuzz(func(t *testing.T, n int, raw []byte) {
		if n < 0 || n > commonBucket || len(raw) == 0 {
			return
		}
		b, err := parseBucket(n, raw)
		if err != nil {
			return
		}
		_ = b.holders()
		if again, err := b.format(n); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%q is written as %q, %v", raw, again, err)
		}
	})
}

// FuzzAccessHead likewise.
func FuzzAccessHead(f *testing.F) {
	raw, err := os.ReadFile("testdata/access-head.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.TrimSpace(raw))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := parseAccessHead(raw)
		if err != nil {
			return
		}
		if again, err := h.format(); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%q is written as %q, %v", raw, again, err)
		}
	})
}
