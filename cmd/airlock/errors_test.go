package main

import (
	"strings"
	"testing"
)

// What several layers say is said once.
func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"feed a/b/c: 127.0.0.1:9: feed a/b/c: went back":                                       "feed a/b/c: 127.0.0.1:9: went back",
		"host:9: Get \"http://host:9/v1/feeds\": dial tcp host:9: connect: connection refused": "host:9: dial tcp host:9: connect: connection refused",
		"f.yaml:3:1: a: want x\nf.yaml:4:1: a: want x":                                         "f.yaml:3:1: a: want x; f.yaml:4:1: a: want x",
		"went back: size 5: size 4":                                                            "went back: size 5: size 4",
	} {
		if got := oneLine(text); got != want || strings.Contains(got, "\n") {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
