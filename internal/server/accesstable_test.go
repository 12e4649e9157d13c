package server_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// The kinds of caller.
var callers = []string{"none", "stranger", "reader", "owner", "administrator", "peer", "expired", "revoked", "dismissed", "limited", "wrong"}

// answersOf are the statuses that each kind of caller gets.
type answersOf map[string]int

// but returns the answers with some others.
func (a answersOf) but(other answersOf) answersOf {
	out := maps.Clone(a)
	maps.Copy(out, other)
	return out
}

// Who gets what: a status of 0 stands for that of a right request.
var (
	unknown = answersOf{"none": 401, "expired": 401, "revoked": 401, "dismissed": 401, "wrong": 401}
	// forAnyone says nothing about feeds, and looks at no credential.
	forAnyone = answersOf{"none": 0, "stranger": 0, "reader": 0, "owner": 0, "administrator": 0, "peer": 0, "expired": 0, "revoked": 0, "dismissed": 0, "limited": 0, "wrong": 0}
	forKnown  = unknown.but(answersOf{"stranger": 0, "reader": 0, "owner": 0, "administrator": 0, "peer": 0, "limited": 0})
	// forReaders hides the feed from who is not in its audience.
	forReaders  = forKnown.but(answersOf{"stranger": 404, "limited": 404})
	forOwner    = forKnown.but(answersOf{"stranger": 403, "reader": 403, "limited": 403})
	forGovernor = forOwner.but(answersOf{"peer": 403})
	forPeers    = unknown.but(answersOf{"stranger": 403, "reader": 403, "owner": 403, "administrator": 403, "peer": 0, "limited": 403})
	forOperator = forAnyone.but(answersOf{"none": 401, "stranger": 401, "reader": 401, "owner": 401, "peer": 401, "expired": 401, "revoked": 401, "dismissed": 401, "limited": 401, "wrong": 401})
)

// accessTable has each endpoint with a request of it that is right, and what
// each kind of caller gets for it. {F} is a feed whose audience is one Space.
var accessTable = []struct {
	endpoint, path string
	status         int // of a right request
	answers        answersOf
}{
	{"GET object/{rest}", "{F}/object/{object}", 200, forReaders},
	{"GET object/{rest}", "{F}/object/{frames}?payload={payload}", 200, forReaders},
	{"GET object/{rest}", "{F}/object/{deltaobject}?payload={payload}&base={base}", 200, forReaders},
	{"HEAD object/{rest}", "{F}/object/{object}", 200, forReaders},
	{"GET checkpoint", "{F}/checkpoint", 200, forReaders},
	{"HEAD checkpoint", "{F}/checkpoint", 200, forReaders},
	{"GET segment/{rest:.+}", "{F}/segment/000.p/3", 200, forReaders},
	{"HEAD segment/{rest:.+}", "{F}/segment/000.p/3", 200, forReaders},
	{"GET pack/{rest:.+}", "{F}/pack/000.p/3", 200, forReaders},
	{"HEAD pack/{rest:.+}", "{F}/pack/000.p/3", 200, forReaders},
	{"GET tile/{rest:.+}", "{F}/tile/0/000.p/3", 200, forReaders},
	{"GET tile/{rest:.+}", "{F}/tile/entries/000.p/3", 200, forReaders},
	{"HEAD tile/{rest:.+}", "{F}/tile/0/000.p/3", 200, forReaders},
	{"GET chunks/{rest}", "{F}/chunks/{payload}", 200, forReaders},
	{"HEAD chunks/{rest}", "{F}/chunks/{payload}", 200, forReaders},
	{"GET delta/{rest:.+}", "{F}/delta/{base}/{payload}", 200, forReaders},
	{"HEAD delta/{rest:.+}", "{F}/delta/{base}/{payload}", 200, forReaders},
	{"GET audience", "{F}/audience", 200, forGovernor},
	{"HEAD audience", "{F}/audience", 200, forGovernor},
	{"PUT audience", "{F}/audience", 200, forGovernor},
	{"GET /v1/spaces/{organisation}/{space}/board", "{S}/board", 200, forGovernor},
	{"HEAD /v1/spaces/{organisation}/{space}/board", "{S}/board", 200, forGovernor},
	{"PUT /v1/spaces/{organisation}/{space}/board", "{S}/board", 412, forGovernor},
	{"POST entries", "{F}/entries", 200, forOwner},
	{"POST uploads", "{F}/uploads", 200, forOwner},
	{"HEAD uploads/{rest}", "{F}/uploads/{upload}", 204, forOwner},
	{"PATCH uploads/{rest}", "{F}/uploads/{upload}", 204, forOwner},
	{"GET /v1/", "/v1/", 200, forAnyone},
	{"HEAD /v1/", "/v1/", 200, forAnyone},
	{"GET /v1/feeds", "/v1/feeds", 200, forKnown},
	{"HEAD /v1/feeds", "/v1/feeds", 200, forKnown},
	{"POST /v1/heads", "/v1/heads", 200, forKnown},
	{"POST /v1/grown", "/v1/grown", 204, forPeers},
	{"POST /v1/join", "/v1/join", 200, forAnyone},
	{"POST /v1/identities", "/v1/identities", 200, forAnyone},
	{"GET /healthz", "/healthz", 200, forAnyone},
	{"HEAD /healthz", "/healthz", 200, forAnyone},
	{"GET /readyz", "/readyz", 200, forAnyone},
	{"HEAD /readyz", "/readyz", 200, forAnyone},
	{"GET /metrics", "/metrics", 200, forOperator},
	{"HEAD /metrics", "/metrics", 200, forOperator},
}

// inboxTable is that of an inbox: whether a stream counts its signature says, and
// which it is the agent.
var inboxTable = map[string]int{"POST /v1/push": 200, "GET /healthz": 200, "HEAD /healthz": 200}

const feedPrefix = "/v1/feeds/{organisation}/{space}/{feed}/"

// TestAccessTable asks every endpoint as every kind of caller. An endpoint that
// is not in the table fails it.
func TestAccessTable(t *testing.T) {
	s := newAccessSite(t)
	seen := map[string]bool{}
	for _, row := range accessTable {
		method, path, _ := strings.Cut(row.endpoint, " ")
		if path[0] != '/' {
			path = feedPrefix + path
		}
		seen[method+" "+path] = true
		if len(row.answers) != len(callers) {
			t.Errorf("%s: answers for %d kinds of caller, want %d", row.endpoint, len(row.answers), len(callers))
		}
		for _, caller := range callers {
			want := row.answers[caller]
			if want == 0 {
				want = row.status
			}
			if got := s.ask(caller, method, row.path, s.secret); got.Code != want {
				t.Errorf("%s %s as %s: %d, want %d: %.300s", method, row.path, caller, got.Code, want, got.Body)
			}
		}
	}
	for _, endpoint := range feedhttp.Endpoints() {
		if !seen[endpoint] {
			t.Errorf("%s is not in the table", endpoint)
		}
	}
}

// takesAll is an inbox.
type takesAll struct{}

func (takesAll) Take(context.Context, feedhttp.Caller, io.Reader, feedhttp.PushReceipts) (feedhttp.PushAnswer, error) {
	return feedhttp.PushAnswer{Taken: feedhttp.Taken{Size: 1}}, nil
}

// TestInboxAccess asks an inbox, which looks at no credential, and has none of what
// servers have; and a server for what an inbox has.
func TestInboxAccess(t *testing.T) {
	s := newAccessSite(t)
	ofServer := s.handler
	ofInbox, err := feedhttp.New(feedhttp.Config{Inbox: takesAll{}, Callers: s.srv})
	if err != nil {
		t.Fatal(err)
	}
	defer ofInbox.Close()
	for _, endpoint := range feedhttp.InboxEndpoints() {
		if inboxTable[endpoint] == 0 {
			t.Errorf("%s is not in the table", endpoint)
		}
	}
	for _, caller := range callers {
		for endpoint, want := range inboxTable {
			method, path, _ := strings.Cut(endpoint, " ")
			s.handler = ofInbox
			if got := s.ask(caller, method, path, s.ID); got.Code != want {
				t.Errorf("%s as %s: %d, want %d: %.300s", endpoint, caller, got.Code, want, got.Body)
			}
		}
		for _, row := range accessTable {
			method, _, _ := strings.Cut(row.endpoint, " ")
			if got := s.ask(caller, method, row.path, s.ID); row.path != "/healthz" && got.Code != http.StatusNotFound {
				t.Errorf("%s of an inbox, as %s: %d", row.endpoint, caller, got.Code)
			}
		}
		s.handler = ofServer
		if got := s.ask(caller, "POST", "/v1/push", s.ID); got.Code != http.StatusNotFound {
			t.Errorf("push to a server as %s: %d", caller, got.Code)
		}
	}
}

// TestHiddenIsAbsent: for who may not read it a feed, and what it names, differs
// in no byte from what is not there.
func TestHiddenIsAbsent(t *testing.T) {
	s := newAccessSite(t)
	absent := s.secret
	absent.Name = "absent"
	for _, row := range accessTable {
		method, _, _ := strings.Cut(row.endpoint, " ")
		for _, caller := range callers {
			if code := row.answers[caller]; code != 404 && code != 403 {
				continue
			}
			hidden, none := s.ask(caller, method, row.path, s.secret), s.ask(caller, method, row.path, absent)
			if got, want := dump(hidden), strings.ReplaceAll(dump(none), absent.String(), s.secret.String()); got != want {
				t.Errorf("%s %s as %s:\n%s\nwant\n%s", method, row.path, caller, got, want)
			}
		}
	}
	// Through a feed of the same Space that the caller reads.
	no := strings.NewReplacer("{object}", strings.Repeat("1", 64), "{payload}", strings.Repeat("2", 64), "{base}", strings.Repeat("3", 64),
		"{frames}", strings.Repeat("4", 64), "{deltaobject}", strings.Repeat("5", 64))
	for _, path := range []string{"{F}/object/{object}", "{F}/object/{payload}", "{F}/object/{base}", "{F}/object/{frames}", "{F}/object/{deltaobject}",
		"{F}/object/{frames}?payload={payload}", "{F}/object/{deltaobject}?payload={payload}&base={base}", "{F}/chunks/{payload}", "{F}/delta/{base}/{payload}", "{F}/object/{upload}"} {
		for _, caller := range []string{"stranger", "limited", "reader"} {
			hidden, none := s.ask(caller, "GET", path, s.ID), s.ask(caller, "GET", no.Replace(path), s.ID)
			if hidden.Code != 404 || dump(hidden) != dump(none) {
				t.Errorf("%s as %s through another feed of the Space:\n%s\nwant\n%s", path, caller, dump(hidden), dump(none))
			}
		}
	}
	for caller, want := range map[string]bool{"stranger": false, "limited": false, "reader": true, "owner": true, "administrator": true, "peer": true} {
		listed := s.ask(caller, "GET", "/v1/feeds", s.secret).Body.String()
		if strings.Contains(listed, s.secret.String()) != want || !strings.Contains(listed, s.ID.String()) {
			t.Errorf("for %s feeds are %s", caller, listed)
		}
		told, none := dump(s.ask(caller, "POST", "/v1/heads", s.secret)), dump(s.ask(caller, "POST", "/v1/heads", absent))
		if (told != none) != want {
			t.Errorf("for %s heads are\n%s\nand of no feed\n%s", caller, told, none)
		}
	}
}

// dump is everything of an answer.
func dump(w *httptest.ResponseRecorder) string {
	var out bytes.Buffer
	_ = w.Result().Header.Write(&out)
	return http.StatusText(w.Code) + "\n" + out.String() + w.Body.String()
}

// accessSite is a server that asks for credentials, with a feed for all, and a
// secret one for one Space, which holds two versions of a large payload.
type accessSite struct {
	*world
	handler  *feedhttp.Handler
	secret   feed.ID
	tokens   map[string]string
	names    *strings.Replacer // of what the secret feed names
	bodies   map[string][]byte // by endpoint
	uploaded []byte
}

func newAccessSite(t *testing.T) *accessSite {
	t.Helper()
	ctx := context.Background()
	s := &accessSite{world: newWorld(t, storage.Chunked(storage.NewMem())), tokens: map[string]string{}}
	spool, err := storage.OpenSpool(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = spool.Close() })
	self := strings.Repeat("a", 32)
	s.srv = s.start(server.Config{Spool: spool, Peering: server.Peering{ID: self, Address: "http://127.0.0.1:1"}})
	if err := s.srv.Join(ctx); err != nil {
		t.Fatal(err)
	}
	shown, err := s.Key.Secret("peer 1 " + self)
	if err != nil {
		t.Fatal(err)
	}
	s.tokens["peer"] = "airlock-peer_" + hex.EncodeToString(shown)
	s.mustSend(append(s.Opening(), s.Publish("file/a@1"))...)
	secret := feedtest.AuthorOf(t, s.Space, "secret")
	s.secret = secret.ID
	old := storetest.Text(1, 2<<20)
	next := append([]byte("an edit"), old...)
	first, second := secret.Publish("file/big@1", big(old)), secret.Publish("file/big@2", big(next))
	for _, b := range []feed.Batch{batch(secret.ID, append(secret.Opening(), first)...), batch(secret.ID, second)} {
		if _, err := s.srv.Publish(ctx, server.Operator, b); err != nil {
			t.Fatal(err)
		}
	}
	s.makeCallers(ctx)
	objects := s.store.Objects(s.secret.Space.String())
	base, payload := storage.DigestOf(old), storage.DigestOf(next)
	pointer, err := objects.(storage.Differ).KeepDelta(ctx, base, payload)
	if err != nil {
		t.Fatal(err)
	}
	index, err := objects.(storage.Chunker).Chunks(ctx, payload)
	if err != nil {
		t.Fatal(err)
	}
	s.uploaded = storetest.Random(7, 300<<10)
	third := secret.Publish("file/c@1", feedtest.File{Path: "c", Data: s.uploaded})
	if _, err := s.srv.Expect(ctx, server.Operator, secret.ID, []signing.Attestation{third.Attestation}, third.Objects[:1]); err != nil {
		t.Fatal(err)
	}
	s.names = strings.NewReplacer("{object}", storage.DigestOf(second.Objects[0]).Hex(), "{payload}", payload.Hex(), "{base}", base.Hex(),
		"{frames}", index.Frames.Digest.Hex(), "{deltaobject}", pointer.To.Digest.Hex(), "{upload}", storage.DigestOf(s.uploaded).Hex())
	s.bodies = map[string][]byte{
		"POST {F}/entries": batchOf(1, [][]byte{second.Bytes()}, second.Objects[0]),
		"POST {F}/uploads": batchOf(1, [][]byte{second.Bytes()}, second.Objects[0]),
		"PUT {F}/audience": []byte(`{"spaces":["acme/reader"]}`),
		"PUT {S}/board":    []byte(`{"tag":"none that is there","value":"eA=="}`),

		"POST /v1/join":       s.joining(),
		"POST /v1/identities": s.Space.File(),
	}
	s.handler, err = feedhttp.New(feedhttp.Config{Reader: s.srv, Writer: s.srv, Enroller: s.srv, Audiences: s.srv, Boards: s.srv, Callers: s.srv, Peers: s.srv})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.handler.Close() })
	return s
}

// joining is the request of a Space that was invited.
func (s *accessSite) joining() []byte {
	l := &lobby{world: s.world, pin: storage.DigestOf([]byte("the server's key"))}
	space := trusttest.New(s.t, "acme/newcomer")
	body, err := signing.MarshalCanonical(l.asks(space, l.invite(server.Invite{}), space.Publisher, nil))
	if err != nil {
		s.t.Fatal(err)
	}
	return body
}

// makeCallers admits a Space of each kind, and makes their tokens.
func (s *accessSite) makeCallers(ctx context.Context) {
	space := func(name string) trust.Space {
		a := feedtest.NewAuthor(s.t, "acme/"+name+"/shared")
		s.admit(a)
		return a.ID.Space
	}
	good := func(name string, of trust.Space, feeds ...feed.Pattern) string {
		id, text := s.token(of, feeds...)
		s.tokens[name] = text
		return id
	}
	good("owner", s.ID.Space)
	good("administrator", trust.Space{})
	good("stranger", space("stranger"))
	reading := space("reader")
	good("reader", reading)
	good("limited", reading, "*/*/shared")
	good("expired", reading)
	s.clock.add(23 * time.Hour)
	_, s.tokens["expired"], _ = s.srv.AddToken(ctx, server.Operator, server.Token{Space: reading, Until: s.clock.Now().Add(time.Second)})
	s.clock.add(2 * time.Second)
	revoked := good("revoked", reading)
	if _, err := s.srv.RevokeToken(ctx, server.Operator, revoked); err != nil {
		s.t.Fatal(err)
	}
	gone := space("dismissed")
	good("dismissed", gone)
	if err := s.srv.Dismiss(ctx, server.Operator, gone); err != nil {
		s.t.Fatal(err)
	}
	s.tokens["wrong"] = "airlock_00aaaaaaaaaa_" + strings.Repeat("a", 26)
	err := s.srv.SetAudience(ctx, server.Operator, s.secret, feedhttp.Audience{Spaces: []string{"acme/dismissed", "acme/reader"}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// ask sends a request about a feed.
func (s *accessSite) ask(caller, method, path string, id feed.ID) *httptest.ResponseRecorder {
	s.t.Helper()
	body := s.bodies[method+" "+path]
	if path == "/v1/heads" || path == "/v1/grown" {
		body = fmt.Appendf(nil, `{"known":{%q:0},"wait":0}`, id)
	}
	target := strings.NewReplacer("{F}", "/v1/feeds/"+id.String(), "{S}", "/v1/spaces/"+id.Space.String()).Replace(s.names.Replace(path))
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	r.RequestURI = target
	r.Header.Set("X-Request-Id", "one-and-the-same")
	if token := s.tokens[caller]; token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	switch {
	case path == "/v1/join":
		r.Header.Set("Content-Type", feedhttp.JoinMediaType)
	case path == "/v1/push":
		r.Header.Set("Content-Type", feedhttp.StreamMediaType)
	case path == "/v1/identities":
		r.Header.Set("Content-Type", feedhttp.IdentityMediaType)
	case path == "/v1/heads", path == "/v1/grown", method == "PUT":
		r.Header.Set("Content-Type", "application/json")
	case method == "POST":
		r.Header.Set("Content-Type", feedhttp.BatchMediaType)
	case method == "PATCH": // of no bytes: where it stands is where it stays
		r.Header.Set("Content-Type", "application/partial-upload")
		r.Header.Set("Upload-Offset", "0")
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// TestObjectOf: saying which payload an object helps to read opens that object
// alone, and for payloads of the feed alone.
func TestObjectOf(t *testing.T) {
	s := newAccessSite(t)
	for _, path := range []string{
		"{F}/object/{upload}?payload={payload}",
		"{F}/object/{deltaobject}?payload={payload}",
		"{F}/object/{frames}?payload={payload}&base={base}",
		"{F}/object/{deltaobject}?payload={base}&base={payload}",
		"{F}/object/{deltaobject}?payload={payload}&base={upload}",
		"{F}/object/{frames}?payload={upload}",
		"{F}/object/{frames}",
		"{F}/object/{deltaobject}",
	} {
		if got := s.ask("reader", "GET", path, s.secret); got.Code != 404 {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
	for _, query := range []string{"payload=", "payload=x", "base={base}", "payload={payload}&base=x", "payload={payload}&x=y", "x=y"} {
		if got := s.ask("reader", "GET", "{F}/object/{object}?"+query, s.secret); got.Code != 400 {
			t.Errorf("%s: %d", query, got.Code)
		}
	}
	// A delta whose base only another feed of the Space names, which an operator
	// may have made, is for nobody who reads the one alone.
	other := feedtest.AuthorOf(t, s.Space, "other")
	base := append(storetest.Text(1, 2<<20), "another edit"...)
	if _, err := s.srv.Publish(t.Context(), server.Operator, batch(other.ID, append(other.Opening(), other.Publish("file/b@1", big(base)))...)); err != nil {
		t.Fatal(err)
	}
	names, payload := s.names, s.names.Replace("{payload}")
	target, err := storage.ParseHex(payload)
	if err != nil {
		t.Fatal(err)
	}
	made, err := s.store.Objects(s.secret.Space.String()).(storage.Differ).KeepDelta(t.Context(), storage.DigestOf(base), target)
	if err != nil {
		t.Fatal(err)
	}
	s.names = strings.NewReplacer("{elsewhere}", storage.DigestOf(base).Hex(), "{made}", made.To.Digest.Hex(), "{payload}", payload)
	for _, path := range []string{"{F}/object/{made}?payload={payload}&base={elsewhere}", "{F}/delta/{elsewhere}/{payload}"} {
		if got := s.ask("reader", "GET", path, s.secret); got.Code != 404 {
			t.Errorf("%s: %d", path, got.Code)
		}
		if got := s.ask("owner", "GET", path, s.secret); got.Code != 200 {
			t.Errorf("%s of the owner: %d", path, got.Code)
		}
	}
	s.names = names
}
