package feedhttp_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/trust"
)

// TestTokens asks with and without a token what needs one.
func TestTokens(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 1)
	b.closed = true
	h := handler(t, b, func(c *feedhttp.Config) {
		c.Callers = tokens{benchToken: {Role: feedhttp.Administrator}, spaceToken: {Role: feedhttp.Enrolled}}
	})
	for _, c := range []struct {
		name, target string
		header       []string
		status       int
	}{
		{"right", shared + "/checkpoint", []string{"Authorization: Bearer " + benchToken}, 200},
		{"right, other case of the scheme", shared + "/checkpoint", []string{"Authorization: bearer " + benchToken}, 200},
		{"right, metrics", "/metrics", []string{"Authorization: Bearer " + benchToken}, 200},
		{"a Space's, metrics", "/metrics", []string{"Authorization: Bearer " + spaceToken}, 401},
		{"none", shared + "/checkpoint", nil, 401},
		{"none, no such feed", "/v1/feeds/acme/dev-qa/other/checkpoint", nil, 401},
		{"none, list", "/v1/feeds", nil, 401},
		{"none, object", shared + "/object/" + noObject, nil, 401},
		{"none, chunks", shared + "/chunks/" + noObject, nil, 401},
		{"none, delta", shared + "/delta/" + noObject + "/" + noObject, nil, 401},
		{"none, from elsewhere", "/metrics", nil, 401},
		{"none, needs none", "/v1/", nil, 200},
		{"none, health", "/healthz", nil, 200},
		{"wrong, needs none", "/v1/", []string{"Authorization: Bearer " + benchToken + "x"}, 200},
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
	if w := ask(h, "POST", shared+"/entries", "", "Content-Type: "+feedhttp.BatchMediaType); w.Code != 401 {
		t.Errorf("a publisher without a token: %d", w.Code)
	}
	if w := ask(h, "POST", shared+"/entries", "", "Authorization: Bearer "+spaceToken, "Content-Type: "+feedhttp.BatchMediaType); w.Code != 400 {
		t.Errorf("a publisher with a token: %d", w.Code)
	}
	if w := ask(h, "POST", shared+"/entries", "", "Authorization: Bearer wrong", "Content-Type: "+feedhttp.BatchMediaType); w.Code != 401 {
		t.Errorf("a publisher with a wrong token: %d", w.Code)
	}
	// Where nobody needs one, one that does not count is still refused.
	b.closed = false
	if w := ask(h, "GET", shared+"/checkpoint", "", "Authorization: Bearer "+benchToken+"x"); w.Code != 401 {
		t.Errorf("a wrong token on an open server: %d", w.Code)
	}
}

const spaceToken = "a-token-of-some-space"

// TestCertificates: what a TLS client showed gets to who knows callers.
func TestCertificates(t *testing.T) {
	var got []feedhttp.Credentials
	h := handler(t, newBackend(t), func(c *feedhttp.Config) {
		c.Callers = callersFunc(func(shown feedhttp.Credentials) (feedhttp.Caller, error) {
			got = append(got, shown)
			return feedhttp.Caller{}, nil
		})
	})
	r := httptest.NewRequest("GET", "/v1/feeds", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: []byte("one")}}}
	h.ServeHTTP(httptest.NewRecorder(), r)
	if len(got) != 1 || got[0].Token != "" || len(got[0].Certificates) != 1 || string(got[0].Certificates[0].Raw) != "one" {
		t.Errorf("identified by %+v", got)
	}
}

type callersFunc func(feedhttp.Credentials) (feedhttp.Caller, error)

func (f callersFunc) Identify(_ context.Context, shown feedhttp.Credentials) (feedhttp.Caller, error) {
	return f(shown)
}

func (f callersFunc) Enter(_ context.Context, c feedhttp.Caller) error {
	if c.Credential != "asks too often" {
		return nil
	}
	return &feedhttp.RateError{Max: 5, After: 1500 * time.Millisecond}
}

// TestTooMany: who asks more often than it is granted is told when to come back,
// and is not let in before.
func TestTooMany(t *testing.T) {
	b := newBackend(t)
	h := handler(t, b, func(c *feedhttp.Config) {
		c.Callers = callersFunc(func(feedhttp.Credentials) (feedhttp.Caller, error) {
			return feedhttp.Caller{Credential: "asks too often"}, nil
		})
	})
	before := b.calls.Load()
	w := ask(h, "GET", shared+"/checkpoint", "")
	if w.Code != 429 || w.Header().Get("Retry-After") != "2" || problemOf(w) != "too-many" || b.calls.Load() != before {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := ask(h, "GET", "/healthz", ""); w.Code != 200 {
		t.Errorf("health: %d", w.Code)
	}
}

// TestStreamEnds: what takes long ends with the credential, or with the feed's
// being for the caller.
func TestStreamEnds(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 1)
	b.inMemory, b.closed = false, true
	object := b.put(t, a.ID, make([]byte, 10_000)).Hex()
	changed := make(chan struct{})
	close(changed)
	known := feedhttp.Caller{Role: feedhttp.Enrolled, Changed: changed}
	for what, again := range map[string]func() (feedhttp.Caller, error){
		"revoked":         func() (feedhttp.Caller, error) { return feedhttp.Caller{}, feedhttp.ErrUnauthorized },
		"hidden":          func() (feedhttp.Caller, error) { return feedhttp.Caller{}, nil },
		"still the same":  func() (feedhttp.Caller, error) { return feedhttp.Caller{Role: feedhttp.Enrolled}, nil },
		"ended meanwhile": func() (feedhttp.Caller, error) { return feedhttp.Caller{}, feedhttp.ErrUnauthorized },
	} {
		first, asked := known, 0
		if what == "ended meanwhile" {
			first = feedhttp.Caller{Role: feedhttp.Enrolled, Until: time.Now()}
		}
		h := handler(t, b, func(c *feedhttp.Config) {
			c.Limits.Pace = 1000
			c.Callers = callersFunc(func(feedhttp.Credentials) (feedhttp.Caller, error) {
				if asked++; asked == 1 {
					return first, nil
				}
				return again()
			})
		})
		want := map[bool]int{true: 10_000, false: 1000}[what == "still the same"]
		if w := ask(h, "GET", shared+"/object/"+object, ""); w.Code != 200 || w.Body.Len() != want {
			t.Errorf("%s: %d, %d bytes went out, want %d", what, w.Code, w.Body.Len(), want)
		}
	}
}

// TestCheckToken refuses tokens that no header holds, and quotes none.
func TestCheckToken(t *testing.T) {
	if err := feedhttp.CheckToken(benchToken); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "short", "hunter2 hunter2 hunter2", "hunter2hunter2hunter2\r\n", strings.Repeat("x", 600)} {
		if err := feedhttp.CheckToken(bad); err == nil || strings.Contains(err.Error(), "hunter2") {
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
		c.AccessLog, c.Callers = &out, tokens{benchToken: {Role: feedhttp.Enrolled, Space: trust.Space{Organisation: "acme", Name: "dev-qa"}}}
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
	if !strings.Contains(lines[0], `"caller":"acme/dev-qa"`) || !strings.Contains(lines[1], `"caller":"nobody"`) {
		t.Errorf("who asked is not there: %s", lines[0])
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
		`airlock_shared_used{of="long_polls"}`:                       "0",
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
		c.Callers = tokens{}
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
