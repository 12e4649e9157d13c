package server

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

var pushedFeed = feed.ID{Space: trust.Space{Organisation: "acme", Name: "dev-qa"}, Name: "shared"}

// pushExamples are the examples of docs/formats.md, and what reads each.
func pushExamples() map[string]struct {
	doc  any
	read func([]byte) (any, error)
} {
	return map[string]struct {
		doc  any
		read func([]byte) (any, error)
	}{
		"push-list.json": {
			&pushList{pushListFormat, []pushRecord{{Added: 1767225600, Feeds: []feed.Pattern{"acme/*/shared"}, ID: "07k3m2qxwz5a", Said: 1, Space: "acme/production", URL: "https://inbox.acme.example:7443"}}},
			func(b []byte) (any, error) { return parsePushList(b) },
		},
		"push-cursor.json": {
			&pushCursor{Format: pushFormat, Problem: "connection refused", Said: 1, Receipts: &PushReceipts{Feed: pushedFeed, Outcomes: map[receipts.Outcome]int{receipts.Applied: 2, receipts.Rejected: 1}, Time: 1767225600},
				Since: 1767225600, State: Retrying, Term: 3, Tried: 2,
				Taken: map[feed.ID]feedhttp.Taken{pushedFeed: {Epoch: 1, Root: storage.DigestOf(nil), Size: 12}}},
			func(b []byte) (any, error) { return parsePushCursor("07k3m2qxwz5a", b) },
		},
	}
}

func pushExample(tb testing.TB, name string) []byte {
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.TrimSuffix(raw, []byte("\n"))
}

func TestPushExamples(t *testing.T) {
	for name, example := range pushExamples() {
		raw, err := signing.MarshalCanonical(example.doc)
		if err != nil {
			t.Fatal(err)
		}
		wantFile(t, "testdata/"+name, raw)
		got, err := example.read(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again, err := signing.MarshalCanonical(got); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%s becomes %s, %v", raw, again, err)
		}
	}
}

// TestPushRefused reads what nobody wrote.
func TestPushRefused(t *testing.T) {
	examples := pushExamples()
	for _, c := range []struct{ file, old, with, want string }{
		{"push-list.json", "push-list 1", "push-list 2", "push-list 2"},
		{"push-list.json", "}]}", "},{\"added\":1,\"feeds\":[\"*/*/*\"],\"id\":\"07k3m2qxwz5b\",\"said\":1,\"space\":\"acme/dev-qa\",\"url\":\"https://a\"}]}", "is not after the one before"},
		{"push-list.json", "07k3m2qxwz5a", "../../../abc", "letters and digits"},
		{"push-list.json", `"said":1`, `"said":0`, "how often it was added"},
		{"push-list.json", "acme/production", "acme", "acme"},
		{"push-list.json", `["acme/*/shared"]`, `[]`, "0 feeds, want 1 to 32"},
		{"push-list.json", `["acme/*/shared"]`, `["acme/*/shared","acme/*/shared"]`, "sorted and each once"},
		{"push-list.json", "https://inbox.acme.example", "http://inbox.acme.example", "want https, or http to a loopback"},
		{"push-list.json", "https://inbox.acme.example", "http://localhost", "want https, or http to a loopback"},
		{"push-list.json", "https://inbox", "https://user:word@inbox", "want https://HOST:PORT"},
		{"push-list.json", "https://inbox", "ftp://inbox", "want https"},
		{"push-list.json", ":7443", ":7443/?x=1", "want https://HOST:PORT"},
		{"push-list.json", ":7443", ":7443/" + strings.Repeat("x", maxPushURL), "want https://HOST:PORT"},
		{"push-list.json", "shared", "shared" + strings.Repeat("x", maxPushList), "at most 1048576 are allowed"},
		{"push-cursor.json", "push 1", "push 2", "push 2"},
		{"push-cursor.json", "retrying", "resting", "state"},
		{"push-cursor.json", `"problem":"connection refused",`, "", "state"},
		{"push-cursor.json", "connection refused", strings.Repeat("x", maxProblem+1), "problem"},
		{"push-cursor.json", `"size":12`, `"size":-1`, "-1 entries"},
		{"push-cursor.json", `"applied":2`, `"applied":0`, "0 of outcome"},
		{"push-cursor.json", `"applied":2`, `"lost":2`, "2 of outcome"},
		{"push-cursor.json", `"outcomes":{"applied":2,"rejected":1},`, "", "0 outcomes"},
		{"push-cursor.json", `},"time"`, `},"problem":"x","time"`, `2 outcomes with problem "x"`},
		{"push-cursor.json", `"outcomes":{"applied":2,"rejected":1}`, `"problem":"` + strings.Repeat("x", maxProblem+1) + `"`, "receipts: problem"},
		{"push-cursor.json", `"time":1767225600`, `"time":-1`, "at -1"},
		{"push-cursor.json", `"term":3`, `"term":-3`, "term -3"},
		{"push-cursor.json", "connection", strings.Repeat("x", maxPushCursor), "at most 4194304 are allowed"},
	} {
		good := string(pushExample(t, c.file))
		changed := strings.Replace(good, c.old, c.with, 1)
		if _, err := examples[c.file].read([]byte(changed)); changed == good || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %.60q: %v, want %q", c.file, c.with, err, c.want)
		}
	}
	cursor := pushCursor{Format: pushFormat, State: Failed}
	if _, err := cursor.format(); err == nil {
		t.Error("a cursor is written that nobody reads")
	}
	var unknown *storage.FormatError
	if _, err := parsePushList([]byte(`{"format":"airlock-push-list 9","x":1}`)); !errors.As(err, &unknown) {
		t.Errorf("of a later version: %v", err)
	}
}

func FuzzPush(f *testing.F) {
	for name := range pushExamples() {
		f.Add(name, pushExample(f, name))
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		example, ok := pushExamples()[name]
		if !ok {
			return
		}
		doc, err := example.read(b)
		if err != nil {
			return
		}
		if again, err := signing.MarshalCanonical(doc); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%s: %q becomes %q, %v", name, b, again, err)
		}
	})
}
