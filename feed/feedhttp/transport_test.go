package feedhttp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
)

func TestClientBase(t *testing.T) {
	for base, good := range map[string]bool{
		"http://127.0.0.1:7070":       true,
		"http://[::1]:7070":           true,
		"http://localhost/":           true,
		"https://feeds.example":       true,
		"https://feeds.example/a/b/":  true,
		"http://feeds.example":        false,
		"http://127.0.0.1.example":    false,
		"http://0.0.0.0:7070":         false,
		"ftp://127.0.0.1":             false,
		"feeds.example":               false,
		"https://":                    false,
		"https://u:hunter2@x.example": false,
		"https://x.example?token=x":   false,
		"https://x.example#x":         false,
	} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		_, err = feedhttp.NewClient(feedhttp.ClientConfig{Base: u})
		if (err == nil) != good || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", base, err)
		}
		if _, ok := errors.AsType[*feedhttp.BaseError](err); !good && !ok {
			t.Errorf("%s: %T is no *BaseError", base, err)
		}
	}
	if _, err := feedhttp.NewClient(feedhttp.ClientConfig{}); err == nil {
		t.Error("a client without a server")
	}
	u, _ := url.Parse("http://127.0.0.1")
	if _, err := feedhttp.NewClient(feedhttp.ClientConfig{Base: u, Token: "hunter2\r\nX: y"}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a token with a line end: %v", err)
	}
}

// TestTokenStays holds that a redirect to another server, even on the same
// machine, does not take the token along.
func TestTokenStays(t *testing.T) {
	id := feedtest.NewAuthor(t, "acme/dev-qa/shared").ID
	var got []string
	other := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, "other "+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusTeapot)
	}))
	first := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, "first "+r.Header.Get("Authorization"))
		http.Redirect(w, r, other.String()+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	c := client(t, first, func(c *feedhttp.ClientConfig) { c.Token = benchToken })
	if _, err := c.Checkpoint(t.Context(), id); err == nil {
		t.Error("a checkpoint")
	}
	if len(got) != 2 || got[0] != "first Bearer "+benchToken || got[1] != "other " {
		t.Errorf("the servers saw %q", got)
	}
}

// TestRedirectsEnd holds that redirects in a circle, and to plain HTTP
// elsewhere, are not followed.
func TestRedirectsEnd(t *testing.T) {
	id := feedtest.NewAuthor(t, "acme/dev-qa/shared").ID
	for to, most := range map[string]int{"": 7, "http://feeds.example": 1} {
		asked := 0
		base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			http.Redirect(w, r, to+r.URL.Path, http.StatusTemporaryRedirect)
		}))
		if _, err := client(t, base, nil).Checkpoint(t.Context(), id); err == nil || asked > most {
			t.Errorf("to %q: asked %d times, at most %d: %v", to, asked, most, err)
		}
	}
}

// TestNoDowngrade holds that who was asked over TLS cannot send a client on to
// where there is none, not even on this machine.
func TestNoDowngrade(t *testing.T) {
	id := feedtest.NewAuthor(t, "acme/dev-qa/shared").ID
	asked := 0
	plain := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.String()+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(secure.Close)
	base, err := url.Parse(secure.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, base, func(c *feedhttp.ClientConfig) { c.HTTP = secure.Client() })
	if _, err := c.Checkpoint(t.Context(), id); err == nil || asked > 0 {
		t.Errorf("asked %d times without TLS, %v", asked, err)
	}
}
