package agent

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"airlock/signing"
	"airlock/storage"
)

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func exampleState() State {
	return State{Acted: map[string]string{"web": "2026-11-22T02:00:00Z"}, Contact: "2026-11-22T02:59:45Z", Format: stateFormat, Home: "/srv/airlock", Next: "2026-11-22T03:00:30Z",
		Problem: &Problem{Code: 1, Count: 2, Hint: "is the server running?", Since: "2026-11-22T03:00:00Z", What: "connection refused"},
		Work:    map[string]Worked{"conf": {Here: true, Holder: "00112233445566778899aabbccddeeff", Label: "web-1", Noted: 3, Since: "2026-11-22T01:00:00Z"}}}
}

// TestStateExample holds the form against a file.
func TestStateExample(t *testing.T) {
	want, err := os.ReadFile("testdata/state.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := signing.MarshalCanonical(exampleState())
	if err != nil || string(got) != strings.TrimSuffix(string(want), "\n") {
		t.Errorf("%s, %v", got, err)
	}
	back, err := parseState(got)
	if diff := cmp.Diff(exampleState(), back, cmpopts.IgnoreUnexported(State{})); err != nil || diff != "" {
		t.Error(diff, err)
	}
}

func TestStateRefuses(t *testing.T) {
	good, err := signing.MarshalCanonical(exampleState())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, with string }{
		"another format": {stateFormat, "airlock-agent 9"},
		"no time":        {"2026-11-22T02:59:45Z", "yesterday"},
		"no time acted":  {"2026-11-22T02:00:00Z", "2am"},
		"no time held":   {`"since":"2026-11-22T01:00:00Z"`, `"since":"now"`},
		"no time since":  {`"since":"2026-11-22T03:00:00Z"`, `"since":"now"`},
		"unknown member": {`"contact"`, `"kontakt"`},
		"larger":         {"connection refused", strings.Repeat("x", maxState)},
		"trailing":       {`"2026-11-22T01:00:00Z"}}}`, `"2026-11-22T01:00:00Z"}}} `},
	} {
		changed := strings.Replace(string(good), c.old, c.with, 1)
		if _, err := parseState([]byte(changed)); changed == string(good) || err == nil {
			t.Errorf("%s: taken", name)
		} else if _, unknown := errors.AsType[*storage.FormatError](err); unknown != (name == "another format") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzState(f *testing.F) {
	good, err := signing.MarshalCanonical(exampleState())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"airlock-agent 1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseState(b)
		if err != nil {
			return
		}
		if again, err := signing.MarshalCanonical(s); err != nil || string(again) != string(b) {
			t.Errorf("%s comes out as %s, %v", b, again, err)
		}
	})
}

// TestStateKept: what one agent keeps the next one has.
func TestStateKept(t *testing.T) {
	store := storage.NewMem()
	s, err := Load(t.Context(), store, "shop")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.Failed(now.Add(time.Hour), 1, strings.Repeat("é", maxSaid), "try again")
		if err := s.Save(t.Context(), store, "shop"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(t.Context(), store, "shop")
	if err != nil || got.Problem.Count != 3 || got.Problem.Since != "2026-11-22T04:00:00Z" || len(got.Problem.What) > maxSaid+len("…") {
		t.Errorf("%+v, %v", got.Problem, err)
	}
	if other, err := Load(t.Context(), store, "other"); err != nil || other.Problem != nil {
		t.Errorf("%+v, %v", other, err)
	}
}

// TestDue: a rule that acts at two does so once a day, from the first two o'clock
// on that it lives to see, and makes up for one that it missed.
func TestDue(t *testing.T) {
	var s State
	due := func(hours int) bool { return s.Due("web", 120, time.UTC, now.Add(time.Duration(hours)*time.Hour)) }
	if due(0) || due(1) || due(22) {
		t.Error("due before its first time")
	}
	if !due(23) || !due(30) {
		t.Error("not due at its time and after it")
	}
	s.Act("web", now.Add(30*time.Hour))
	if due(31) || due(46) {
		t.Error("due again on the same day")
	}
	if !due(24 * 5) {
		t.Error("what was missed is not made up for")
	}
}

func TestBackoff(t *testing.T) {
	most := func() float64 { return 0 }
	for failures, want := range map[int]time.Duration{1: 15 * time.Second, 2: 30 * time.Second, 3: time.Minute, 5: 4 * time.Minute, 6: 5 * time.Minute, 1000: 5 * time.Minute} {
		if got := Backoff(failures, 15*time.Second, most); got != want {
			t.Errorf("after %d failures %s, want %s", failures, got, want)
		}
		if got := Backoff(failures, 15*time.Second, func() float64 { return 0.999 }); got <= want/2 || got > want/2+want/100 {
			t.Errorf("after %d failures at the least %s, want half of %s", failures, got, want)
		}
	}
	if got := Backoff(3, time.Hour, most); got != time.Hour {
		t.Errorf("%s, want no less than every and no more", got)
	}
	if low, high := Around(15*time.Second, 5*time.Second, most), Around(15*time.Second, 5*time.Second, func() float64 { return 0.5 }); low != 10*time.Second || high != 15*time.Second {
		t.Errorf("%s and %s", low, high)
	}
}
