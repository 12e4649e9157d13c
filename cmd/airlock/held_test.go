package main

import (
	"testing"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/internal/apply"
	"airlock/signing"
	"airlock/storage"
)

// TestHeld looks up what the record of a folder says: it counts only as the feed
// published it.
func TestHeld(t *testing.T) {
	author := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	tape := feedtest.NewTape(author).Add(author.Opening()...)
	tape.Add(author.Publish("file/motd@1"))
	x := openTape(t, author, tape).state.Index
	row := x.Row(x.Size() - 1)
	good := apply.Item{Ref: row.Ref, Statement: row.ID, Manifest: row.Manifest}
	for name, change := range map[string]func(it *apply.Item){
		"":                  func(*apply.Item) {},
		"another manifest":  func(it *apply.Item) { it.Manifest = storage.Digest{1} },
		"another version":   func(it *apply.Item) { it.Ref.Version = "2" },
		"another statement": func(it *apply.Item) { it.Statement = signing.ID{1} },
		"no publication":    func(it *apply.Item) { it.Statement, it.Ref, it.Manifest = x.Row(0).ID, feed.Ref{}, storage.Digest{} },
	} {
		it := good
		change(&it)
		if _, ok := publicationOf(x, it); ok != (name == "") {
			t.Errorf("%q: counts: %v", name, ok)
		}
	}
}
