package main

import (
	"fmt"
	"net/url"
	"strings"

	"airlock/feed/feedhttp"
)

// tokenFor returns the token for a server out of what --token-file holds:
// one token alone, for whichever server is asked, or for each server a line with
// its URL and its token, so that none is sent to another. Of a URL scheme and
// host count; "#" begins a comment. "" stands for a server without a line.
// Errors name the line, and never what is on it.
func tokenFor(text string, server *url.URL) (string, error) {
	if alone := strings.Fields(text); len(alone) < 2 {
		return strings.Join(alone, ""), nil
	}
	found, seen := "", map[string]bool{}
	for n, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 2 {
			return "", fmt.Errorf("line %d: want the URL of a server and its token, or in all of the file one token alone", n+1)
		}
		u, err := url.Parse(words[0])
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return "", fmt.Errorf("line %d: does not begin with the URL of a server", n+1)
		}
		if err := feedhttp.CheckToken(words[1]); err != nil {
			return "", fmt.Errorf("line %d: %w", n+1, err)
		}
		if seen[originOf(u)] {
			return "", fmt.Errorf("line %d: a second token for one server", n+1)
		}
		seen[originOf(u)] = true
		if originOf(u) == originOf(server) {
			found = words[1]
		}
	}
	return found, nil
}

// originOf names the server of a URL.
func originOf(u *url.URL) string { return strings.ToLower(u.Scheme + "://" + u.Host) }
