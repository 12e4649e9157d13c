package agent

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"airlock/feed"
	"airlock/storage"
	"airlock/trust"
)

var shared = feed.ID{Space: trust.Space{Organisation: "acme", Name: "dev-qa"}, Name: "shared"}

func exampleBoard() *board {
	return &board{Format: boardFormat, Work: map[string]*work{
		"conf/web": {Answered: 3, Asked: 4, Fence: 2, Holder: "00112233445566778899aabbccddeeff", Label: "web-1", Noted: 7, Patience: 45000, Since: "2026-11-22T02:00:00Z",
			Taken:  map[feed.ID]Taken{shared: {Begun: 12, Entries: []int64{3, 9}, Epoch: 1, Lineage: trust.Lineage(storage.DigestOf([]byte("dev-qa")))}},
			Target: "ffeeddccbbaa99887766554433221100"},
		"night/all": {Acted: "2026-11-22T00:00:00Z", Answered: 1, Asked: 1, Fence: 5, Since: "2026-11-22T01:00:00Z"},
	}}
}

// TestBoardExample holds the form against a file.
func TestBoardExample(t *testing.T) {
	want, err := os.ReadFile("testdata/board.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := exampleBoard().format()
	if err != nil || string(got) != strings.TrimSuffix(string(want), "\n") {
		t.Errorf("%s, %v", got, err)
	}
	back, err := parseBoard(got)
	if diff := cmp.Diff(exampleBoard(), back); err != nil || diff != "" {
		t.Error(diff, err)
	}
	if empty, err := parseBoard(nil); err != nil || len(empty.Work) != 0 {
		t.Errorf("%v, %v", empty, err)
	}
}

func TestBoardRefuses(t *testing.T) {
	good, err := exampleBoard().format()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, with, says string }{
		"another format":   {boardFormat, "airlock-board 9", "this version knows"},
		"unknown member":   {`"fence"`, `"fences"`, "fences"},
		"trailing":         {`Z"}}}`, `Z"}}} `, "board"},
		"no rule":          {"night/all", "night", "want <subscription>/<rule>"},
		"no label":         {"night/all", "night/", "want <subscription>/<rule>"},
		"null":             {`{"acted":"2026-11-22T00:00:00Z","answered":1,"asked":1,"fence":5,"since":"2026-11-22T01:00:00Z"}`, "null", "null"},
		"no fence":         {`"fence":5`, `"fence":0`, "fence 0"},
		"answer unasked":   {`"answered":3`, `"answered":5`, "answered 5, asked 4"},
		"no patience":      {`"patience":45000,`, "", "patience of 0 ms"},
		"too patient":      {`45000`, "86400001", "patience of 86400001 ms"},
		"patient nobody":   {`"fence":5`, `"fence":5,"patience":1`, "none of nobody"},
		"label of nobody":  {`"fence":5`, `"fence":5,"label":"x"`, "none of nobody"},
		"holder":           {"00112233445566778899aabbccddeeff", "me", "want 32 hexadecimal digits"},
		"target":           {"ffeeddccbbaa99887766554433221100", "FFEEDDCCBBAA99887766554433221100", "want 32 hexadecimal digits"},
		"long label":       {"web-1", strings.Repeat("x", maxLabel+1), "label"},
		"acted":            {"2026-11-22T00:00:00Z", "midnight", "acted"},
		"since":            {"2026-11-22T01:00:00Z", "1am", "since"},
		"out of order":     {"[3,9]", "[9,3]", "in order"},
		"twice":            {"[3,9]", "[3,3]", "each once"},
		"the opening":      {"[3,9]", "[0,9]", "in order"},
		"begun":            {`"begun":12`, `"begun":-1`, "in order"},
		"no epoch":         {`"epoch":1`, `"epoch":0`, "an epoch"},
		"larger":           {"[3,9]", "[3," + strings.Repeat("9", maxBoard) + "]", "at most"},
		"no such feed":     {"acme/dev-qa/shared", "acme", "acme"},
		"another encoding": {`{"format"`, `{ "format"`, "this version knows"},
	} {
		changed := strings.Replace(string(good), c.old, c.with, 1)
		_, err := parseBoard([]byte(changed))
		if changed == string(good) || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, unknown := errors.AsType[*storage.FormatError](err); unknown != strings.Contains(c.says, "this version") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBoardFull: there is no room for more rules than a board may have, unless one
// was given back.
func TestBoardFull(t *testing.T) {
	b := &board{Format: boardFormat, Work: map[string]*work{}}
	for i := range maxWork {
		b.Work["s/r"+strings.Repeat("x", i%50)+string(rune('a'+i/50))] = &work{Fence: 1, Holder: NewID(), Patience: 1, Since: "2026-11-22T01:00:00Z"}
	}
	d := NewDesk(nil, Agent{ID: NewID(), Patience: 1e9}, nil)
	d.now = newClock().Now
	d.look(b, "one/more", "")
	if _, err := b.format(); !errors.Is(err, storage.ErrNoSpace) {
		t.Errorf("one more: %v", err)
	}
	delete(b.Work, "one/more")
	w := b.Work["s/ra"]
	w.Holder, w.Patience = "", 0
	d.look(b, "one/more", "")
	if _, err := b.format(); err != nil || b.Work["s/ra"] != nil {
		t.Errorf("instead of one that was given back: %v", err)
	}
}

func FuzzBoard(f *testing.F) {
	good, err := exampleBoard().format()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"airlock-board 1"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := parseBoard(raw)
		if err != nil || len(raw) == 0 {
			return
		}
		if again, err := b.format(); err != nil || string(again) != string(raw) {
			t.Errorf("%s comes out as %s, %v", raw, again, err)
		}
	})
}

// TestBoardRoundTrip: what agents say is what others read.
func TestBoardRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		label := rapid.StringMatching(`[a-z][a-z0-9]{0,8}`).Filter(func(s string) bool { return !trust.IsDeviceName(s) })
		b := &board{Format: boardFormat, Work: rapid.MapOfN(rapid.Custom(func(t *rapid.T) string { return label.Draw(t, "s") + "/" + label.Draw(t, "r") }),
			rapid.Custom(drawWork), 1, 5).Draw(t, "work")}
		raw, err := b.format()
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseBoard(raw)
		if diff := cmp.Diff(b, back); err != nil || diff != "" {
			t.Fatal(diff, err)
		}
	})
}

func drawWork(t *rapid.T) *work {
	w := &work{Answered: rapid.Int64Range(0, 9).Draw(t, "answered"), Fence: rapid.Int64Range(1, 99).Draw(t, "fence"), Since: "2026-11-22T01:00:00Z"}
	w.Asked = w.Answered + rapid.Int64Range(0, 1).Draw(t, "asks")
	if rapid.Bool().Draw(t, "held") {
		w.Holder, w.Patience, w.Label = NewID(), rapid.Int64Range(1, maxPatience).Draw(t, "patience"), rapid.StringMatching(`[ -~]{0,100}`).Draw(t, "label")
	}
	if rapid.Bool().Draw(t, "noted") {
		entries := rapid.SliceOfNDistinct(rapid.Int64Range(1, 1<<40), 1, 20, rapid.ID).Draw(t, "entries")
		slices.Sort(entries)
		w.Target, w.Noted = NewID(), 1
		w.Taken = map[feed.ID]Taken{shared: {Entries: entries, Begun: rapid.Int64Range(0, 9).Draw(t, "begun"), Epoch: 1}}
	}
	return w
}
