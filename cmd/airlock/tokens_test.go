package main

import (
	"net/url"
	"strings"
	"testing"
)

const (
	tokenA = "0123456789abcdef"
	tokenB = "fedcba9876543210"
)

func TestTokenFor(t *testing.T) {
	two := "# by server\n\nhttps://A.example " + tokenA + "\r\nhttps://b.example:7070/feeds\t" + tokenB + "\n"
	for _, c := range []struct{ text, server, want, refused string }{
		{tokenA + "\n", "https://a.example", tokenA, ""},
		{tokenA, "http://127.0.0.1:7070", tokenA, ""},
		{"", "https://a.example", "", ""},
		{two, "https://a.example/", tokenA, ""},
		{two, "https://b.example:7070", tokenB, ""},
		{two, "https://b.example", "", ""},
		{two, "http://a.example", "", ""},
		{two, "https://a.example.evil.example", "", ""},
		{"https://a.example " + tokenA + " x", "https://a.example", "", "line 1: want the URL"},
		{tokenA + "\n" + tokenB, "https://a.example", "", "line 1: want the URL"},
		{"\nA.example " + tokenA, "https://a.example", "", "line 2: does not begin with the URL"},
		{"ftp://a.example " + tokenA, "https://a.example", "", "line 1: does not begin with the URL"},
		{"https://a.example short", "https://a.example", "", "line 1: token of 5 characters"},
		{two + "https://a.example " + tokenB, "https://a.example", "", "line 5: a second token"},
	} {
		server, err := url.Parse(c.server)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tokenFor(c.text, server)
		if got != c.want || (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%q for %s: %q, %v; want %q, %q", c.text, c.server, got, err, c.want, c.refused)
		}
		if err != nil && (strings.Contains(err.Error(), tokenA) || strings.Contains(err.Error(), tokenB)) {
			t.Errorf("the error gives a token away: %v", err)
		}
	}
}

// FuzzTokenFor: what is found stands in the file, for that server or alone.
func FuzzTokenFor(f *testing.F) {
	f.Add("https://a.example " + tokenA)
	f.Add(tokenA)
	f.Add("# x\nhttps://b.example " + tokenB + "\nhttps://a.example " + tokenA)
	server := &url.URL{Scheme: "https", Host: "a.example"}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := tokenFor(text, server)
		words := strings.Fields(text)
		if err != nil || got == "" || len(words) == 1 && got == words[0] {
			return
		}
		for i, w := range words {
			if i == 0 || w != got {
				continue
			}
			if u, err := url.Parse(words[i-1]); err == nil && originOf(u) == originOf(server) {
				return
			}
		}
		t.Errorf("%q gives %q", text, got)
	})
}
