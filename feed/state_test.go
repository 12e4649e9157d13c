package feed_test

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"airlock/feed"
	"airlock/storage"
)

// put puts value in the place of what is kept of a feed.
func put(t *testing.T, f *feed.Follower, id feed.ID, value string) {
	t.Helper()
	key := "seen/" + storage.Digest(f.View.History().Lineage()).Hex() + "/" + id.Name
	_, tag, err := f.State.Cells.Load(t.Context(), key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if _, err := f.State.Cells.Swap(t.Context(), key, tag, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

// edit changes the JSON part of a state and its length with it.
func edit(t *testing.T, value, old, new string) string {
	t.Helper()
	const header = len("airlock-state 1\n")
	n := int(binary.BigEndian.Uint32([]byte(value[header:])))
	doc := value[header+4 : header+4+n]
	changed := strings.Replace(doc, old, new, 1)
	if changed == doc {
		t.Fatalf("%q is not in %s", old, doc)
	}
	out := binary.BigEndian.AppendUint32([]byte(value[:header]), uint32(len(changed)))
	return string(out) + changed + value[header+4+n:]
}

// otherEdge changes one digit of the edge.
func otherEdge(t *testing.T, value string) string {
	const before = `"edge":["sha256:`
	at := strings.Index(value, before) + len(before)
	digit := "0"
	if value[at] == '0' {
		digit = "1"
	}
	return edit(t, value, before+value[at:at+1], before+digit)
}

// TestStateRefused damages what is kept of a feed: it is never mistaken for a
// feed that was not seen yet, which would open the way for a rollback.
func TestStateRefused(t *testing.T) {
	a, tape := example(t)
	good := a.Follower(tape)
	sync(t, good, a.ID)
	value := stateOf(t, good, a.ID)
	other := a.Follower(tape.Clone().Add(a.Publish("file/a@3")))
	sync(t, other, a.ID)
	otherValue := stateOf(t, other, a.ID)
	for name, bad := range map[string]string{
		"unknown format":      strings.Replace(value, "airlock-state 1", "airlock-state 2", 1),
		"empty":               "",
		"cut in the length":   value[:18],
		"cut in the document": value[:100],
		"cut in the index":    value[:len(value)-1],
		"bytes behind":        value + "x",
		"huge length":         value[:16] + "\xff\xff\xff\xff" + value[20:],
		"another size":        edit(t, value, `"size":5`, `"size":6`),
		"another edge":        otherEdge(t, value),
		"another feed":        edit(t, value, `"feed":"acme/dev-qa/shared"`, `"feed":"acme/dev-qa/sharex"`),
		"unknown member":      edit(t, value, `"size":5`, `"size":5,"x":1`),
		"time in words":       edit(t, value, `"seenAt":"2026-02-03T04:05:06Z"`, `"seenAt":"today"`),
		"a page that is gone": edit(t, value, `"pages":[]`, `"pages":["`+storage.DigestOf(nil).String()+`"]`),
		"index of another":    value[:len(value)-500] + otherValue[len(otherValue)-500:],
	} {
		t.Run(name, func(t *testing.T) {
			f := a.Follower(tape)
			put(t, f, a.ID, bad)
			err := wantRefused(t, f, a.ID, nil)
			if errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v passes for absence", err)
			}
			if errors.Is(err, feed.ErrCheckpoint) || errors.As(err, new(*feed.RollbackError)) {
				t.Errorf("%v blames the source", err)
			}
			if name == "unknown format" && !errors.As(err, new(*storage.FormatError)) {
				t.Errorf("got %v, want a *storage.FormatError", err)
			}
		})
	}
	f := a.Follower(tape)
	put(t, f, a.ID, value)
	sync(t, f, a.ID)
}

// FuzzState finds what is kept of a feed that panics when it is read, or comes
// back as another state.
func FuzzState(f *testing.F) {
	a, tape := example(f)
	follower := a.Follower(tape)
	sync(f, follower, a.ID)
	key := "seen/" + storage.Digest(a.Space.Lineage()).Hex() + "/" + a.ID.Name
	value, _, err := follower.State.Cells.Load(f.Context(), key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add([]byte("airlock-state 1\n\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		store := storage.NewMem()
		if _, err := store.Cells.Swap(t.Context(), key, "", b); err != nil {
			t.Fatal(err)
		}
		s, err := feed.LoadState(t.Context(), store, a.Space.Lineage(), a.ID)
		if err != nil {
			return
		}
		if s.Edge.Size() != s.Index.Size() || s.Checkpoint().Root != s.Edge.Root() {
			t.Errorf("size %d, index of %d, checkpoint %+v", s.Edge.Size(), s.Index.Size(), s.Checkpoint())
		}
	})
}
