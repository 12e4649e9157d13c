package feedhttp_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
)

const shared = "/v1/feeds/acme/dev-qa/shared"

var noObject = strings.Repeat("0", 64)

// TestAnswers asks every endpoint, rightly and wrongly: what a client sends is
// answered with the right status and the right problem.
func TestAnswers(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 300)
	h := handler(t, b, nil)
	object := b.put(t, a.ID, []byte("an object")).Hex()
	cut, delta := b.putLarge(t, a.ID)
	const batch = "Content-Type: " + feedhttp.BatchMediaType
	heads := []string{headsType}

	for _, c := range []struct {
		name, method, target, body string
		header                     []string
		status                     int
		problem                    string
	}{
		{"info", "GET", "/v1/", "", nil, 200, ""},
		{"feeds", "GET", "/v1/feeds", "", nil, 200, ""},
		{"feeds of Spaces", "GET", "/v1/feeds?space=acme/dev-qa&space=acme/other", "", nil, 200, ""},
		{"health", "GET", "/healthz", "", nil, 200, ""},
		{"ready", "GET", "/readyz", "", nil, 200, ""},
		{"metrics", "GET", "/metrics", "", nil, 200, ""},
		{"checkpoint", "GET", shared + "/checkpoint", "", nil, 200, ""},
		{"full tile", "GET", shared + "/tile/0/000", "", nil, 200, ""},
		{"partial tile", "GET", shared + "/tile/0/001.p/20", "", nil, 200, ""},
		{"tile above", "GET", shared + "/tile/1/000.p/1", "", nil, 200, ""},
		{"entries of a tile", "GET", shared + "/tile/entries/000", "", nil, 200, ""},
		{"segment", "GET", shared + "/segment/000", "", nil, 200, ""},
		{"partial segment", "GET", shared + "/segment/001.p/44", "", nil, 200, ""},
		{"pack", "GET", shared + "/pack/000", "", nil, 200, ""},
		{"object", "GET", shared + "/object/" + object, "", nil, 200, ""},
		{"object, head", "HEAD", shared + "/object/" + object, "", nil, 200, ""},

		{"chunks", "GET", shared + "/chunks/" + cut, "", nil, 200, ""},
		{"delta", "GET", shared + "/delta/" + delta, "", nil, 200, ""},
		{"delta, head", "HEAD", shared + "/delta/" + delta, "", nil, 200, ""},

		{"feeds of no Space", "GET", "/v1/feeds?space=", "", nil, 400, "bad-request"},
		{"feeds of Spaces that are not in order", "GET", "/v1/feeds?space=acme/other&space=acme/dev-qa", "", nil, 400, "bad-request"},
		{"feeds by something else", "GET", "/v1/feeds?of=acme/dev-qa", "", nil, 400, "bad-request"},
		{"no such path", "GET", "/v2", "", nil, 404, "not-found"},
		{"root", "GET", "/", "", nil, 404, "not-found"},
		{"no such feed", "GET", "/v1/feeds/acme/dev-qa/other/checkpoint", "", nil, 404, "not-found"},
		{"no such object", "GET", shared + "/object/" + noObject, "", nil, 404, "not-found"},
		{"object that is not cut", "GET", shared + "/chunks/" + object, "", nil, 404, "not-found"},
		{"delta that nobody made", "GET", shared + "/delta/" + noObject + "/" + object, "", nil, 404, "not-found"},
		{"segment to come", "GET", shared + "/segment/009", "", nil, 404, "not-found"},
		{"segment not full yet", "GET", shared + "/segment/001", "", nil, 404, "not-found"},
		{"nothing under a feed", "GET", shared, "", nil, 404, "not-found"},
		{"no such thing under a feed", "GET", shared + "/secrets", "", nil, 404, "not-found"},
		{"upload nobody expects", "HEAD", shared + "/uploads/" + noObject, "", nil, 404, ""},

		{"dots", "GET", "/v1/feeds/acme/../shared/checkpoint", "", nil, 400, "bad-request"},
		{"dots in an object", "GET", shared + "/object/../checkpoint", "", nil, 400, "bad-request"},
		{"empty part", "GET", "/v1/feeds/acme//shared/checkpoint", "", nil, 400, "bad-request"},
		{"slash at the end", "GET", shared + "/checkpoint/", "", nil, 400, "bad-request"},
		{"encoded slash", "GET", "/v1/feeds/acme/dev-qa%2Fshared/checkpoint", "", nil, 400, "bad-request"},
		{"encoded letter", "GET", "/v1/feeds/acme/dev-qa/%73hared/checkpoint", "", nil, 400, "bad-request"},
		{"not UTF-8", "GET", "/v1/feeds/acme/dev-qa/%ff/checkpoint", "", nil, 400, "bad-request"},
		{"space", "GET", "/v1/feeds/acme/dev-qa/a%20b/checkpoint", "", nil, 400, "bad-request"},
		{"upper case", "GET", "/v1/feeds/acme/Dev-QA/shared/checkpoint", "", nil, 400, "bad-request"},
		{"device name", "GET", "/v1/feeds/acme/dev-qa/con/checkpoint", "", nil, 400, "bad-request"},
		{"long label", "GET", "/v1/feeds/acme/dev-qa/" + strings.Repeat("a", 64) + "/checkpoint", "", nil, 400, "bad-request"},
		{"long URL", "GET", shared + "/object/" + strings.Repeat("a", 2000), "", nil, 413, "too-large"},
		{"digest in capitals", "GET", shared + "/object/" + strings.Repeat("A", 64), "", nil, 400, "bad-request"},
		{"short digest", "GET", shared + "/object/" + noObject[1:], "", nil, 400, "bad-request"},
		{"chunks of a short digest", "GET", shared + "/chunks/" + noObject[1:], "", nil, 400, "bad-request"},
		{"delta from nothing", "GET", shared + "/delta/" + noObject, "", nil, 400, "bad-request"},
		{"delta from a short digest", "GET", shared + "/delta/" + noObject[1:] + "/" + noObject, "", nil, 400, "bad-request"},
		{"delta to two", "GET", shared + "/delta/" + delta + "/" + noObject, "", nil, 400, "bad-request"},
		{"number without zeros", "GET", shared + "/segment/1", "", nil, 400, "bad-request"},
		{"number with a needless group", "GET", shared + "/segment/x000/001", "", nil, 400, "bad-request"},
		{"number without its x", "GET", shared + "/segment/001/001", "", nil, 400, "bad-request"},
		{"width of a full one", "GET", shared + "/segment/000.p/256", "", nil, 400, "bad-request"},
		{"width zero", "GET", shared + "/segment/000.p/0", "", nil, 400, "bad-request"},
		{"width with a sign", "GET", shared + "/segment/000.p/-1", "", nil, 400, "bad-request"},
		{"level that cannot be", "GET", shared + "/tile/7/000", "", nil, 400, "bad-request"},
		{"level in two digits", "GET", shared + "/tile/00/000", "", nil, 400, "bad-request"},
		{"body with GET", "GET", shared + "/checkpoint", "x", nil, 400, "bad-request"},

		{"heads", "POST", "/v1/heads", `{"known":{"acme/dev-qa/other":0,"acme/dev-qa/shared":1},"wait":9}`, heads, 200, ""},
		{"heads of nothing", "POST", "/v1/heads", `{"known":{},"wait":0}`, heads, 400, "bad-request"},
		{"heads without a wait", "POST", "/v1/heads", `{"known":{"acme/dev-qa/shared":1}}`, heads, 400, "bad-request"},
		{"heads with a long wait", "POST", "/v1/heads", `{"known":{"acme/dev-qa/shared":1},"wait":3601}`, heads, 400, "bad-request"},
		{"heads with a negative wait", "POST", "/v1/heads", `{"known":{"acme/dev-qa/shared":1},"wait":-1}`, heads, 400, "bad-request"},
		{"heads at a negative size", "POST", "/v1/heads", `{"known":{"acme/dev-qa/shared":-1},"wait":0}`, heads, 400, "bad-request"},
		{"heads of a feed twice", "POST", "/v1/heads", `{"known":{"acme/dev-qa/shared":1,"acme/dev-qa/shared":2},"wait":0}`, heads, 400, "bad-request"},
		{"heads of no feed's name", "POST", "/v1/heads", `{"known":{"shared":1},"wait":0}`, heads, 400, "bad-request"},
		{"heads and more", "POST", "/v1/heads", `{"known":{"acme/dev-qa/shared":1},"more":1,"wait":0}`, heads, 400, "bad-request"},
		{"heads in no type", "POST", "/v1/heads", `{"known":{"acme/dev-qa/shared":1},"wait":0}`, nil, 415, "media-type"},
		{"heads of too much", "POST", "/v1/heads", strings.Repeat(" ", 4<<20+1), heads, 413, "too-large"},
		{"get of heads", "GET", "/v1/heads", "", nil, 405, "method"},

		{"post to a checkpoint", "POST", shared + "/checkpoint", "x", nil, 405, "method"},
		{"delete", "DELETE", shared + "/object/" + object, "", nil, 405, "method"},
		{"get of entries", "GET", shared + "/entries", "", nil, 405, "method"},
		{"get of an upload", "GET", shared + "/uploads/" + noObject, "", nil, 405, "method"},
		{"options", "OPTIONS", "/v1/", "", nil, 405, "method"},

		{"entries as JSON", "POST", shared + "/entries", "{}", []string{"Content-Type: application/json"}, 415, "media-type"},
		{"entries without a type", "POST", shared + "/entries", "{}", nil, 415, "media-type"},
		{"empty batch", "POST", shared + "/entries", "", []string{batch}, 400, "bad-request"},
		{"batch of another version", "POST", shared + "/entries", "airlock-batch 2\n" + strings.Repeat("\x00", 12), []string{batch}, 400, "bad-request"},
		{"no statements", "POST", shared + "/entries", "airlock-batch 1\n" + strings.Repeat("\x00", 12), []string{batch}, 400, "bad-request"},
		{"too many statements", "POST", shared + "/entries", "airlock-batch 1\n\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x04\x01", []string{batch}, 400, "bad-request"},
		{"statement cut off", "POST", shared + "/uploads", "airlock-batch 1\n\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x09x", []string{batch}, 400, "bad-request"},
		{"upload as text", "PATCH", shared + "/uploads/" + noObject, "x", []string{"Content-Type: text/plain", "Upload-Offset: 0"}, 415, "media-type"},
		{"upload without an offset", "PATCH", shared + "/uploads/" + noObject, "x", []string{"Content-Type: application/partial-upload"}, 400, "bad-request"},
		{"upload with a bad offset", "PATCH", shared + "/uploads/" + noObject, "x", []string{"Content-Type: application/partial-upload", "Upload-Offset: -1"}, 400, "bad-request"},
		{"upload with a bad length", "PATCH", shared + "/uploads/" + noObject, "x", []string{"Content-Type: application/partial-upload", "Upload-Offset: 0", "Upload-Length: 1e3"}, 400, "bad-request"},
		{"upload nobody expects, sent", "PATCH", shared + "/uploads/" + noObject, "x", []string{"Content-Type: application/partial-upload", "Upload-Offset: 0"}, 404, "not-found"},
		{"bad upload name", "PATCH", shared + "/uploads/x", "x", []string{"Content-Type: application/partial-upload", "Upload-Offset: 0"}, 400, "bad-request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask(h, c.method, c.target, c.body, c.header...)
			if w.Code != c.status || c.method != "HEAD" && problemOf(w) != c.problem {
				t.Fatalf("got %d %s, want %d %q", w.Code, w.Body, c.status, c.problem)
			}
			if w.Code >= 400 && w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("a refusal that may be cached: %v", w.Header())
			}
			if w.Code == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
				t.Errorf("405 without Allow")
			}
			if length := w.Header().Get("Content-Length"); c.method == "GET" && length != "" && length != strconv.Itoa(w.Body.Len()) {
				t.Errorf("Content-Length %s for %d bytes", length, w.Body.Len())
			}
		})
	}
}

// TestCaching looks at what says how long an answer holds.
func TestCaching(t *testing.T) {
	b := newBackend(t)
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	b.fill(t, a, 260)
	object := b.put(t, a.ID, []byte("an object")).Hex()
	cut, delta := b.putLarge(t, a.ID)
	h := handler(t, b, func(c *feedhttp.Config) { c.Callers = tokens{benchToken: {Role: feedhttp.Enrolled}} })
	for scope, header := range map[string][]string{
		"public":  nil,
		"private": {"Authorization: Bearer " + benchToken}, // a shared cache would hand it to everybody
	} {
		for path, want := range map[string]string{
			"/object/" + object: scope + ", max-age=31536000, immutable",
			"/segment/000":      scope + ", max-age=31536000, immutable",
			"/tile/0/000":       scope + ", max-age=31536000, immutable",
			"/tile/0/000.p/3":   scope + ", max-age=60",
			"/segment/001.p/2":  scope + ", max-age=60",
			"/pack/000":         scope + ", max-age=60", // may be purged
			"/chunks/" + cut:    scope + ", max-age=60", // may be made again
			"/delta/" + delta:   scope + ", max-age=60",
			"/checkpoint":       scope + ", max-age=1",
		} {
			w := ask(h, "GET", shared+path, "", header...)
			if got := w.Header().Get("Cache-Control"); w.Code != 200 || got != want {
				t.Errorf("%s: %d, Cache-Control %q, want %q", path, w.Code, got, want)
			}
		}
	}
}

// TestReadOnly asks a server without a writer.
func TestReadOnly(t *testing.T) {
	h := handler(t, newBackend(t), func(c *feedhttp.Config) { c.Writer = nil })
	for _, r := range [][2]string{{"POST", "/entries"}, {"POST", "/uploads"}, {"PATCH", "/uploads/" + noObject}, {"HEAD", "/uploads/" + noObject}} {
		if w := ask(h, r[0], shared+r[1], ""); w.Code != http.StatusConflict {
			t.Errorf("%s %s: %d %s", r[0], r[1], w.Code, w.Body)
		}
	}
}

func TestConfig(t *testing.T) {
	if _, err := feedhttp.New(feedhttp.Config{}); err == nil {
		t.Error("a handler without a reader")
	}
}
