package feed

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"airlock/storage"
	"airlock/trust"
)

const testTime = "2026-02-03T04:05:06Z"

// noteOf is a checkpoint of a feed at a size.
func noteOf(t testing.TB, id ID, size int64) string {
	t.Helper()
	key, err := NewLogKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	c, err := key.Sign(id.Origin(1), size, tlog.Hash{byte(size)})
	if err != nil {
		t.Fatal(err)
	}
	return string(c.Note)
}

// exampleAccount is of a Space with one feed of its own that follows another.
func exampleAccount(t testing.TB) *Account {
	own := ID{trust.Space{Organisation: "acme", Name: "production"}, "receipts"}
	held := func(ref Ref, files bool, m byte) Held {
		return Held{Files: files, Kind: ref.Kind, Manifest: storage.Digest{m}, Name: ref.Name, Version: ref.Version}
	}
	return NewAccount(own.Space, trust.Lineage{2}, testTime, []FeedAccount{
		{Epoch: 1, Feed: own, Lineage: trust.Lineage{2}, Note: noteOf(t, own, 7)},
		{Epoch: 1, Feed: testID, Lineage: trust.Lineage{1}, Note: noteOf(t, testID, 42),
			Live:      []Held{held(Ref{"variable-set", "db", "1.4"}, true, 4), held(Ref{"file", "motd", "2"}, false, 3)},
			Withdrawn: []Held{held(Ref{"file", "motd", "1"}, true, 1)}},
	})
}

// TestAccountExample compares the format with testdata, byte for byte.
func TestAccountExample(t *testing.T) {
	got, err := exampleAccount(t).Format()
	want, readErr := os.ReadFile("testdata/account.json")
	if err != nil || readErr != nil || !bytes.Equal(got, want) {
		t.Fatalf("got\n%s\nwant\n%s\n%v, %v", got, want, err, readErr)
	}
	a, err := ParseAccount(want)
	if err != nil {
		t.Fatal(err)
	}
	f, ok := a.Feed(trust.Lineage{1}, testID)
	if !ok || f.Checkpoint().Size != 42 || len(f.Live) != 2 || f.Live[0].Ref().String() != "file/motd@2" || !f.Live[1].Files {
		t.Errorf("read as %+v", f)
	}
	if _, ok := a.Feed(trust.Lineage{3}, testID); ok {
		t.Error("a feed of another lineage was found")
	}
}

// TestAccountRefused changes the example, each time in one thing.
func TestAccountRefused(t *testing.T) {
	raw, err := exampleAccount(t).Format()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]string{
		"another version":        {"airlock.example/v1", "airlock.example/v2"},
		"another kind":           {`"Holdings"`, `"Identity"`},
		"unknown member":         {`"kind":"Holdings"`, `"instance":"x","kind":"Holdings"`},
		"member twice":           {`"kind":"Holdings"`, `"kind":"Holdings","kind":"Holdings"`},
		"white space":            {`"kind":"Holdings"`, `"kind": "Holdings"`},
		"Space as a URI":         {`"space":"acme`, `"space":"space://acme`},
		"Space in capitals":      {`"space":"acme`, `"space":"Acme`},
		"time with an offset":    {testTime, "2026-02-03T05:05:06+01:00"},
		"time with a fraction":   {testTime, "2026-02-03T04:05:06.5Z"},
		"no feeds":               {raw2(raw, `"feeds":[`, `],"kind":"Holdings"`), ""},
		"feeds null":             {`[` + raw2(raw, `"feeds":[`, `],"kind":"Holdings"`) + `]`, "null"},
		"epoch of another note":  {`"epoch":1,"feed":"acme/dev-qa/shared"`, `"epoch":2,"feed":"acme/dev-qa/shared"`},
		"note of another feed":   {`"feed":"acme/dev-qa/shared"`, `"feed":"acme/dev-qa/other"`},
		"note that is none":      {"e1.shared.dev-qa", "e1 shared.dev-qa"},
		"feed in capitals":       {`"feed":"acme/dev-qa/shared"`, `"feed":"acme/dev-qa/Shared"`},
		"version with a slash":   {`"version":"1.4"`, `"version":"1/4"`},
		"packages not in order":  {`"kind":"file","manifest":"sha256:0300`, `"kind":"zfile","manifest":"sha256:0300`},
		"live and withdrawn":     {`"name":"motd","version":"1"`, `"name":"motd","version":"2"`},
		"packages of its own":    {`"lineage":"sha256:01`, `"lineage":"sha256:02`},
		"files false":            {`{"kind":"file","manifest":"sha256:0300`, `{"files":false,"kind":"file","manifest":"sha256:0300`},
		"empty list of packages": {`"note":"e1.receipts`, `"live":[],"note":"e1.receipts`},
		"trailing data":          {`"time":"` + testTime + `"}`, `"time":"` + testTime + `"}{}`},
	} {
		changed := strings.Replace(string(raw), c[0], c[1], 1)
		if changed == string(raw) {
			t.Errorf("%s: %q is not in the example", name, c[0])
		}
		if a, err := ParseAccount([]byte(changed)); err == nil {
			t.Errorf("%s: read as %+v", name, a)
		}
	}
}

// raw2 returns what stands between two texts.
func raw2(raw []byte, before, behind string) string {
	_, rest, _ := strings.Cut(string(raw), before)
	out, _, _ := strings.Cut(rest, behind)
	return out
}

// TestAccountOrder refuses feeds and packages that stand out of order or twice,
// also where only the case of a version differs.
func TestAccountOrder(t *testing.T) {
	for name, change := range map[string]func(a *Account){
		"feeds exchanged": func(a *Account) { slices.Reverse(a.Feeds) },
		"a feed twice":    func(a *Account) { a.Feeds = append(a.Feeds, a.Feeds[1]) },
		"a package twice": func(a *Account) { a.Feeds[0].Live = append(a.Feeds[0].Live, a.Feeds[0].Live[1]) },
		"a version in another case": func(a *Account) {
			h := a.Feeds[0].Live[1]
			h.Version = "1.5-RC"
			other := h
			other.Version = "1.5-rc"
			a.Feeds[0].Live = append(a.Feeds[0].Live, h, other)
		},
	} {
		a := exampleAccount(t)
		change(a)
		if _, err := a.Format(); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// TestAccountBounds goes to the bounds and past them.
func TestAccountBounds(t *testing.T) {
	a := exampleAccount(t)
	a.Feeds[0].Live, a.Feeds[0].Withdrawn = make([]Held, MaxHeld), nil
	for i := range a.Feeds[0].Live {
		a.Feeds[0].Live[i] = Held{Kind: "file", Name: "n" + string(rune('a'+i%26)) + strings.Repeat("z", i/26%4), Version: "1." + pad(i)}
	}
	*a = *NewAccount(trust.Space{Organisation: "acme", Name: "production"}, a.Lineage, a.Time, a.Feeds)
	if _, err := a.Format(); err != nil {
		t.Errorf("as many packages as allowed: %v", err)
	}
	a.Feeds[0].Withdrawn = []Held{{Kind: "z", Name: "z", Version: "z"}}
	if _, err := a.Format(); err == nil || !strings.Contains(err.Error(), "at most 200000") {
		t.Errorf("one more: %v", err)
	}
	if _, err := ParseAccount(make([]byte, MaxAccount+1)); err == nil || !strings.Contains(err.Error(), "allowed") {
		t.Errorf("too long: %v", err)
	}
	a = exampleAccount(t)
	feeds := make([]FeedAccount, 0, maxAccountFeeds+1)
	for i := range maxAccountFeeds + 1 {
		id := ID{testID.Space, "f" + pad(i)}
		feeds = append(feeds, FeedAccount{Epoch: 1, Feed: id, Lineage: trust.Lineage{1}, Note: noteOf(t, id, 1)})
	}
	a.Feeds = feeds[:maxAccountFeeds]
	if _, err := a.Format(); err != nil {
		t.Errorf("as many feeds as allowed: %v", err)
	}
	a.Feeds = feeds
	if _, err := a.Format(); err == nil {
		t.Error("more feeds than allowed")
	}
}

// pad writes a number in six digits.
func pad(i int) string {
	digits := []byte("000000")
	for k := 5; i > 0; k, i = k-1, i/10 {
		digits[k] = byte('0' + i%10)
	}
	return string(digits)
}

// TestAccountProperty writes what NewAccount makes of anything in any order, and
// reads it back as the same.
func TestAccountProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var feeds []FeedAccount
		for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{3,9}`), 1, 5, rapid.ID).Draw(rt, "feeds") {
			id := ID{testID.Space, name}
			if trust.CheckLabel(name) != nil {
				continue
			}
			f := FeedAccount{Epoch: 1, Feed: id, Lineage: trust.Lineage{1}, Note: noteOf(t, id, int64(rapid.IntRange(1, 1000).Draw(rt, "size")))}
			for _, ref := range rapid.SliceOfDistinct(refs, versionKey).Draw(rt, "packages") {
				h := Held{Files: rapid.Bool().Draw(rt, "files"), Kind: ref.Kind, Name: ref.Name, Version: ref.Version}
				if rapid.Bool().Draw(rt, "withdrawn") {
					f.Withdrawn = append(f.Withdrawn, h)
				} else {
					f.Live = append(f.Live, h)
				}
			}
			feeds = append(feeds, f)
		}
		if len(feeds) == 0 {
			return
		}
		b, err := NewAccount(testID.Space, trust.Lineage{2}, testTime, feeds).Format()
		if err != nil {
			rt.Fatal(err)
		}
		a, err := ParseAccount(b)
		if err != nil {
			rt.Fatal(err)
		}
		if again, err := a.Format(); err != nil || !bytes.Equal(again, b) {
			rt.Errorf("%s came back as %s, %v", b, again, err)
		}
	})
}

func FuzzAccount(f *testing.F) {
	raw, err := exampleAccount(f).Format()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"apiVersion":"airlock.example/v1","feeds":[],"kind":"Holdings"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAccount(b)
		if err != nil {
			return
		}
		if again, err := a.Format(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s came back as %s, %v", b, again, err)
		}
	})
}
