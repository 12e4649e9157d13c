package main

import (
	"errors"
	"net"
	"strings"
	"testing"
)

// Where nobody said a server, status says that, and not that one does not run.
func TestStatusNamesNoServer(t *testing.T) {
	away := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for _, test := range []struct {
		server, from string
		want         bool
	}{{"", "", true}, {"https://feeds.acme.example", "", false}, {"", "https://feeds.acme.example", false}} {
		a := &app{commonFlags: commonFlags{server: test.server}}
		code, hint := outcomeOf(a.statusError(away, test.from))
		if got := strings.Contains(hint, "--server and --token-file as the agent has them"); got != test.want || code != exitIncomplete {
			t.Errorf("%+v: %d, %s", test, code, hint)
		}
	}
}
