package main

import (
	"testing"

	"airlock/feed"
)

func TestMatchFeed(t *testing.T) {
	for _, c := range []struct {
		pattern, feed string
		want          bool
	}{
		{"acme/dev-qa/shared", "acme/dev-qa/shared", true},
		{"acme/dev-qa/shared", "acme/dev-qa/other", false},
		{"acme/*/shared", "acme/dev-qa/shared", true},
		{"acme/*/shared", "other/dev-qa/shared", false},
		{"acme/team-*/shared", "acme/team-a/shared", true},
		{"acme/team-*/shared", "acme/dev-qa/shared", false},
		{"*/*/*", "acme/dev-qa/shared", true},
		{"*/*/*", "acme/dev-qa/receipts", false},
		{"acme/*/rec*", "acme/dev-qa/receipts", false},
		{"acme/*/receipts", "acme/dev-qa/receipts", true},
		{"acme/dev-qa/receipts", "acme/dev-qa/receipts", true},
	} {
		id, err := feed.ParseID(c.feed)
		if err != nil {
			t.Fatal(err)
		}
		if got := matchFeed(c.pattern, id); got != c.want {
			t.Errorf("%s of %s: %v, want %v", c.pattern, c.feed, got, c.want)
		}
	}
}
