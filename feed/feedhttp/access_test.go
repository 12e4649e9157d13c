package feedhttp_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
)

// TestTokens asks with and without a read token what needs one.
func TestTokens(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 1)
	h := handler(t, b, func(c *feedhttp.Config) {
		c.Open = false
		c.ReadTokens = [][32]byte{feedhttp.HashToken("another-token-of-ours"), feedhttp.HashToken(benchToken)}
	})
	for _, c := range []struct {
		name, target string
		header       []string
		status       int
	}{
		{"right", shared + "/checkpoint", []string{"Authorization: Bearer " + benchToken}, 200},
		{"right, other case of the scheme", shared + "/checkpoint", []string{"Authorization: bearer " + benchToken}, 200},
		{"right, metrics", "/metrics", []string{"Authorization: Bearer " + benchToken}, 200},
		{"none", shared + "/checkpoint", nil, 401},
		{"none, no such feed", "/v1/feeds/acme/dev-qa/other/checkpoint", nil, 401},
		{"none, list", "/v1/feeds", nil, 401},
		{"none, object", shared + "/object/" + noObject, nil, 401},
		{"none, chunks", shared + "/chunks/" + noObject, nil, 401},
		{"none, delta", shared + "/delta/" + noObject + "/" + noObject, nil, 401},
		{"none, from elsewhere", "/metrics", nil, 401},
		{"none, needs none", "/v1/", nil, 200},
		{"none, health", "/healthz", nil, 200},
		{"wrong", shared + "/checkpoint", []string{"Authorization: Bearer " + benchToken + "x"}, 401},
		{"a hash", shared + "/checkpoint", []string{"Authorization: Bearer " + strings.Repeat("0", 64)}, 401},
		{"empty", shared + "/checkpoint", []string{"Authorization: Bearer "}, 401},
		{"basic", shared + "/checkpoint", []string{"Authorization: Basic " + benchToken}, 401},
		{"two", shared + "/checkpoint", []string{"Authorization: Bearer " + benchToken, "Authorization: Bearer x"}, 401},
		{"long", shared + "/checkpoint", []string{"Authorization: Bearer " + strings.Repeat("x", 10000)}, 401},
	} {
		w := ask(h, "GET", c.target, "", c.header...)
		if w.Code != c.status || c.status == 401 && (problemOf(w) != "unauthorized" || w.Header().Get("Www-Authenticate") == "") {
			t.Errorf("%s: %d %v %s, want %d", c.name, w.Code, w.Header(), w.Body, c.status)
		}
	}
	if w := ask(h, "POST", shared+"/entries", "", "Content-Type: "+feedhttp.BatchMediaType); w.Code != 400 {
		t.Errorf("a publisher without a read token: %d", w.Code)
	}
	if w := ask(h, "POST", shared+"/entries", "", "Authorization: Bearer wrong", "Content-Type: "+feedhttp.BatchMediaType); w.Code != 401 {
		t.Errorf("a publisher with a wrong token: %d", w.Code)
	}
}

// TestOpenOrTokens: where everybody may read, no token could be shown that lets
// its holder read more.
func TestOpenOrTokens(t *testing.T) {
	tokens := [][32]byte{feedhttp.HashToken(benchToken)}
	if _, err := feedhttp.New(feedhttp.Config{Reader: newBackend(t), Open: true, ReadTokens: tokens}); err == nil {
		t.Error("open, and with tokens")
	}
}

// TestParseTokens reads token files.
func TestParseTokens(t *testing.T) {
	got, err := feedhttp.ParseTokens("tokens", strings.NewReader("# readers\n\n"+benchToken+"\r\n another-token-of-ours\n"))
	if err != nil || len(got) != 2 || got[0] != feedhttp.HashToken(benchToken) || got[1] != feedhttp.HashToken("another-token-of-ours") {
		t.Errorf("%x, %v", got, err)
	}
	for _, bad := range []string{"", "# none\n", "short\n", benchToken + "\nhunter2 hunter2 hunter2\n", strings.Repeat("x", 600)} {
		_, err := feedhttp.ParseTokens("tokens", strings.NewReader(bad))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

// lockedBuilder is what an access log writes to.
type lockedBuilder struct {
	mu sync.Mutex
	strings.Builder
}

func (b *lockedBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.Write(p)
}

// TestAccessLog holds that every request leaves one line of JSON with its id,
// and that nothing a client sends breaks it or tells a secret.
func TestAccessLog(t *testing.T) {
	var out lockedBuilder
	h := handler(t, newBackend(t), func(c *feedhttp.Config) {
		c.Open, c.AccessLog, c.ReadTokens = false, &out, [][32]byte{feedhttp.HashToken(benchToken)}
	})
	given := ask(h, "GET", shared+"/checkpoint", "", "Authorization: Bearer "+benchToken, "X-Request-Id: from-the-proxy-1")
	ask(h, "GET", "/v1/%22%0a%ff%7f", "", "User-Agent: a \"quoted\"\x01 agent\xff", "X-Request-Id: a bad id\"")
	ask(h, "GET", "/v1/?token="+benchToken, "")
	ask(h, "GET", "/v1/"+strings.Repeat("a", 900), "")
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	for _, line := range lines {
		var l struct {
			Time, Remote, Request, Method, Path, Route string
			Status                                     int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Status == 0 || l.Request == "" || l.Remote == "" || l.Route == "" || len(line) > 1200 {
			t.Errorf("%v in %s", err, line)
		}
		if strings.Contains(line, benchToken) {
			t.Errorf("a token in %s", line)
		}
	}
	if !strings.Contains(lines[0], `"request":"from-the-proxy-1"`) || given.Header().Get("X-Request-Id") != "from-the-proxy-1" {
		t.Errorf("the given id is lost: %s", lines[0])
	}
	if strings.Contains(lines[1], "bad id") {
		t.Errorf("an insane id was taken: %s", lines[1])
	}
}

// TestMetrics counts requests and refusals.
func TestMetrics(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 1)
	h := handler(t, b, nil)
	for range 3 {
		ask(h, "GET", shared+"/checkpoint", "")
	}
	ask(h, "GET", shared+"/object/"+noObject, "")
	for name, want := range map[string]string{
		`airlock_http_requests_total{code="200",route="checkpoint"}`: "3",
		`airlock_http_requests_total{code="404",route="object"}`:     "1",
		`airlock_http_problems_total{problem="not-found"}`:           "1",
		`airlock_http_request_seconds_count{route="checkpoint"}`:     "3",
		`airlock_http_waiters`: "0",
	} {
		if got := metric(t, h, name); got != want {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
}

// TestMetricsBehindProxy holds that a proxy on this machine does not make
// everybody an operator.
func TestMetricsBehindProxy(t *testing.T) {
	h := handler(t, newBackend(t), func(c *feedhttp.Config) {
		c.Open, c.ReadTokens = false, [][32]byte{feedhttp.HashToken(benchToken)}
	})
	base := serve(t, h)
	for header, want := range map[string]int{"": 200, "X-Forwarded-For": 401, "Forwarded": 401} {
		r, _ := http.NewRequest("GET", base.String()+"/metrics", nil)
		if header != "" {
			r.Header.Set(header, "for=192.0.2.1")
		}
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		if got.StatusCode != want {
			t.Errorf("with %q: %d, want %d", header, got.StatusCode, want)
		}
	}
}
