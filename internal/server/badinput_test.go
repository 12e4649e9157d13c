package server_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/trust"
)

func newListener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dial(t *testing.T, to net.Addr) net.Conn {
	t.Helper()
	conn, err := net.Dial(to.Network(), to.String())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// badBatch is a body that must be refused. The store is afterwards as it was,
// but for the rows that orphans is set for: what the log refuses at the swap has
// brought its objects by then, and no entry names them.
type badBatch struct {
	status  int
	problem string
	says    string
	orphans bool
	body    func(d *door) []byte
}

// deep is more than any document may be nested.
var deep = strings.Repeat("[", 5000) + strings.Repeat("]", 5000)

var badBatches = map[string]badBatch{
	"truncated, in the header":    {400, "bad-request", "batch: begins with", false, func(d *door) []byte { return bodyOf(d.draft(nil))[:20] }},
	"truncated, in the statement": {400, "bad-request", "bytes are left", false, func(d *door) []byte { return bodyOf(d.draft(nil))[:500] }},
	"truncated, in an object": {400, "bad-request", "29 are left", false, func(d *door) []byte {
		b := bodyOf(d.draft(nil))
		return b[:len(b)-1]
	}},
	"truncated, an object left out": {422, "objects-missing", "have not arrived", false, func(d *door) []byte {
		s := d.draft(nil)
		return batchOf(1, [][]byte{s.Bytes()}, s.Objects[0])
	}},

	"oversized attestation": {400, "bad-request", "at most 98304 are allowed", false, func(d *door) []byte {
		return batchOf(1, [][]byte{append(d.draft(nil).Bytes(), make([]byte, signing.MaxAttestation)...)})
	}},
	"oversized statement": {400, "bad-request", "at most 32768 are allowed", false, func(d *door) []byte {
		s := d.draft(nil)
		return batchOf(1, [][]byte{feedtest.StoredForm(make([]byte, signing.MaxStatement+1), s.Signature(), s.CertificateDER())})
	}},
	"oversized object": {400, "bad-request", "at most 1048576 are allowed", false, func(d *door) []byte {
		return batchOf(1, [][]byte{d.draft(nil).Bytes()}, make([]byte, feedhttp.MaxInline+1))
	}},
	"oversized manifest": {422, "malformed", "manifest of 1048577 bytes", false, func(d *door) []byte {
		return bodyOf(d.draft(func(p *feed.Publication) { p.ManifestSize = feed.MaxManifest + 1 }))
	}},
	"oversized identity": {413, "too-large", "262144", false, func(d *door) []byte {
		return bodyOf(identityAbout(d.world, make([]byte, trust.MaxIdentity+1)))
	}},
	"too many statements": {400, "bad-request", "want 1 to 1024", false, func(d *door) []byte {
		return batchOf(1, make([][]byte, feedhttp.MaxStatements+1))
	}},

	"nested statement": {422, "malformed", "nested deeper than 32", false, func(d *door) []byte { return d.resigned(`"epoch":1`, `"epoch":`+deep) }},
	"nested manifest":  {422, "malformed", "nested deeper than 32", false, func(d *door) []byte { return d.remade(`"schemaVersion":2`, `"schemaVersion":`+deep) }},
	"nested identity":  {422, "malformed", "nested deeper than 32", false, func(d *door) []byte { return bodyOf(identityAbout(d.world, []byte(deep))) }},

	"statement with a key twice":   {422, "malformed", "given twice", false, func(d *door) []byte { return d.resigned(`"epoch":1`, `"epoch":1,"epoch":1`) }},
	"statement with a key in case": {422, "malformed", "in another case", false, func(d *door) []byte { return d.resigned(`"version":"1"`, `"versioN":"1"`) }},
	"manifest with a key twice":    {422, "malformed", "given twice", false, func(d *door) []byte { return d.remade(`"schemaVersion":2`, `"schemaVersion":2,"schemaVersion":2`) }},
	"manifest with a key in case":  {422, "malformed", "in another case", false, func(d *door) []byte { return d.remade(`"schemaVersion"`, `"schemaVersioN"`) }},
	"identity with a key twice": {422, "malformed", "given twice", false, func(d *door) []byte {
		return bodyOf(identityAbout(d.world, d.replaced(d.Space.Version(1).Identity.Raw(), `"version":1`, `"version":1,"version":1`)))
	}},
	"identity with a key in case": {422, "malformed", "in another case", false, func(d *door) []byte {
		return bodyOf(identityAbout(d.world, d.replaced(d.Space.Version(1).Identity.Raw(), `"version"`, `"versioN"`)))
	}},
	"attestation with a key twice": {400, "bad-request", "not the stored form", false, func(d *door) []byte {
		return batchOf(1, [][]byte{d.replaced(d.draft(nil).Bytes(), `{"payload"`, `{"payload":"e30=","payload"`)})
	}},
	"attestation with a key in case": {400, "bad-request", "not the stored form", false, func(d *door) []byte {
		return batchOf(1, [][]byte{d.replaced(d.draft(nil).Bytes(), `"payload"`, `"Payload"`)})
	}},

	"foreign payload type": {400, "bad-request", "not the stored form", false, func(d *door) []byte {
		return batchOf(1, [][]byte{d.replaced(d.draft(nil).Bytes(), signing.PayloadType, "application/json")})
	}},
	"empty payload type": {400, "bad-request", "not the stored form", false, func(d *door) []byte {
		return batchOf(1, [][]byte{d.replaced(d.draft(nil).Bytes(), signing.PayloadType, "")})
	}},
	"predicate of another": {422, "malformed", "predicateType", false, func(d *door) []byte {
		return d.resigned("https://airlock.example/publication/v1", "https://slsa.dev/provenance/v1")
	}},
	"high-S signature": {400, "bad-request", "high-S form", false, func(d *door) []byte {
		s := d.draft(nil)
		return batchOf(1, [][]byte{feedtest.HighS(d.t, s.Attestation)}, s.Objects...)
	}},
	"high-S signature of an entry": {400, "bad-request", "high-S form", false, func(d *door) []byte {
		return batchOf(1, [][]byte{feedtest.HighS(d.t, d.first.Attestation)}, d.first.Objects...)
	}},

	"leaf without the role": {403, "untrusted", "rule role", false, func(d *door) []byte { return bodyOf(d.Draft(d.Space.Approver, "file/x@1", nil, nil)) }},
	"unlisted leaf": {403, "untrusted", "no known identity", false, func(d *door) []byte {
		return bodyOf(d.Draft(d.Space.Leaf("mallory", trust.Publisher), "file/x@1", nil, nil))
	}},
	"dropped leaf": {403, "untrusted", "version 3, in force here, does not", false, func(d *door) []byte { return bodyOf(d.Draft(d.alice, "file/x@1", nil, nil)) }},
	"lineage of another, its opening": {403, "untrusted", "rule lineage", false, func(d *door) []byte {
		twin := feedtest.NewAuthor(d.t, "acme/dev-qa/shared").Opening()
		return batchOf(1, [][]byte{twin[0].Bytes(), twin[1].Bytes()}, twin[1].Objects...)
	}},
	"lineage of another, a package": {403, "untrusted", "no known identity", false, func(d *door) []byte {
		twin := feedtest.NewAuthor(d.t, "acme/dev-qa/shared")
		return bodyOf(twin.Draft(twin.Space.Publisher, "file/x@1", nil, nil))
	}},

	"moved from another feed":  {422, "malformed", "rule binding", false, func(d *door) []byte { return bodyOf(d.draft(func(p *feed.Publication) { p.Feed.Name = "other" })) }},
	"moved from another epoch": {422, "malformed", "rule binding", false, func(d *door) []byte { return bodyOf(d.draft(func(p *feed.Publication) { p.Epoch = 2 })) }},
	"batch for another epoch": {409, "conflict", "only epoch 1", false, func(d *door) []byte {
		s := d.draft(func(p *feed.Publication) { p.Epoch = 2 })
		return batchOf(2, [][]byte{s.Bytes()}, s.Objects...)
	}},

	"previous that skips": {412, "not-the-head", "does not follow", true, func(d *door) []byte {
		return bodyOf(d.Draft(d.pen.Signer, "file/a@3", nil, func(p *feed.Publication) { id := d.first.ID(); p.Previous = &id }))
	}},
	"second content for a version": {409, "version-taken", "cannot become", true, func(d *door) []byte {
		return bodyOf(d.Draft(d.pen.Signer, "file/a@2", []feedtest.File{feedtest.Text("content", "other")}, nil))
	}},
	"unknown format marker": {400, "bad-request", "batch: begins with", false, func(d *door) []byte {
		return d.replaced(bodyOf(d.draft(nil)), "airlock-batch 1", "airlock-batch 2")
	}},
}

// badNames lead out of their folder, or are none.
var badNames = map[string]string{"up": "../x", "absolute": "/etc/x", "empty": "", "dot": ".", "not UTF-8": "\xff"}

// TestBadInput sends what must not get in, over HTTP and each signed as well as
// it can be: it is answered with its status and problem, the feed keeps its
// size, and a good batch is taken afterwards.
func TestBadInput(t *testing.T) {
	d := newDoor(t, feedhttp.Limits{})
	cases := maps.Clone(badBatches)
	for name, bad := range badNames {
		why := map[string]string{"not UTF-8": "not UTF-8", "empty": "want 1 to 128"}[name]
		cases["name of a package, "+name] = badBatch{422, "malformed", cmp.Or(why, "want a-z and 0-9"), false, func(d *door) []byte {
			if name == "not UTF-8" {
				return d.resigned(`"name":"x"`, `"name":"`+bad+`"`)
			}
			return bodyOf(d.draft(func(p *feed.Publication) { p.Name = bad }))
		}}
		why = map[string]string{"not UTF-8": "not UTF-8", "empty": "want 1 to 512"}[name]
		cases["path in a package, "+name] = badBatch{422, "malformed", cmp.Or(why, "is absolute, empty, or leaves its folder"), false,
			func(d *door) []byte { return d.remade(`"content"`, `"`+bad+`"`) }}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			body, before := c.body(d), d.kept()
			d.wantRefused(t, d.post(entriesPath, bytes.NewReader(body)), c.status, c.problem, c.says)
			if after := d.kept(); !c.orphans && !maps.Equal(after, before) {
				t.Errorf("the store is not as it was: %d things, before %d", len(after), len(before))
			}
		})
	}
	for name, bad := range badNames {
		t.Run("name of a feed, "+name, func(t *testing.T) {
			path := "/v1/feeds/acme/dev-qa/" + bad + "/entries"
			d.wantRefused(t, d.post(path, bytes.NewReader(bodyOf(d.draft(nil)))), 400, "bad-request", "path ")
		})
	}
	t.Run("lineage that nobody admitted", func(t *testing.T) {
		stranger := feedtest.NewAuthor(t, "acme/stranger/shared").Opening()
		body := batchOf(1, [][]byte{stranger[0].Bytes(), stranger[1].Bytes()}, stranger[1].Objects...)
		d.wantRefused(t, d.post("/v1/feeds/acme/stranger/shared/entries", bytes.NewReader(body)), 403, "untrusted", "rule admission")
	})
	unknown := d.pen.SignBytes(t, d.replaced(d.draft(nil).Payload(), "/publication/v1", "/novelty/v1"))
	if got := d.post(entriesPath, bytes.NewReader(bodyOf(unknown))); got.status != 200 || d.size() != d.entries+1 {
		t.Errorf("a kind that is not known: %+v", got) // it is kept for those who know it
	}
	d.entries = d.size()
	good := bodyOf(d.draft(nil))
	for i, want := range []string{`"added":1`, `"added":0`} { // the same again is no second entry
		if got := d.post(entriesPath, bytes.NewReader(good)); got.status != 200 || !strings.Contains(got.body, want) || d.size() != d.entries+1 {
			t.Errorf("a good batch, time %d: %+v, %d entries", i+1, got, d.size())
		}
	}
}

// wantRefused checks an answer, and that the feed did not grow.
func (d *door) wantRefused(t *testing.T, got answered, status int, problem, says string) {
	t.Helper()
	if got.status != status || got.problem != problem || !strings.Contains(got.detail, says) || strings.Contains(got.detail, "\n") {
		t.Errorf("got %d %s: %s; want %d %s and one line that says %q", got.status, got.problem, got.body, status, problem, says)
	}
	if n := d.size(); n != d.entries {
		t.Errorf("the feed has %d entries, before %d", n, d.entries)
		d.entries = n // each case answers for itself
	}
}

// TestBadInputFlipped flips one bit in every part of a batch: none of it gets in.
func TestBadInputFlipped(t *testing.T) {
	d := newDoor(t, feedhttp.Limits{})
	body, before := bodyOf(d.draft(nil)), d.kept()
	for i := 0; i < len(body); i += 5 {
		bad := bytes.Clone(body)
		bad[i] ^= 1
		if got := d.post(entriesPath, bytes.NewReader(bad)); got.status < 400 || got.status > 499 || got.problem == "" {
			t.Fatalf("byte %d of %d flipped: %d %s", i, len(body), got.status, got.body)
		}
	}
	if d.size() != d.entries || !maps.Equal(d.kept(), before) {
		t.Errorf("the store is not as it was; the feed has %d entries", d.size())
	}
}

// TestBadInputEndless sends bodies that are too long, do not end, or hardly come:
// the server answers before they are over, and goes on.
func TestBadInputEndless(t *testing.T) {
	d := newDoor(t, feedhttp.Limits{BatchBytes: 1 << 20, Grace: 300 * time.Millisecond})
	before := d.kept()
	head := "POST " + entriesPath + " HTTP/1.1\r\nHost: x\r\nContent-Type: " + feedhttp.BatchMediaType + "\r\n"
	t.Run("announced", func(t *testing.T) {
		got := d.raw(func(w io.Writer) { fmt.Fprintf(w, "%sContent-Length: %d\r\n\r\n", head, 1<<20+1) })
		d.wantRefused(t, got, 413, "too-large", "larger than the 1048576 allowed")
	})
	t.Run("endless", func(t *testing.T) {
		got := d.raw(func(w io.Writer) {
			fmt.Fprint(w, head+"Transfer-Encoding: chunked\r\n\r\n")
			for chunk := fmt.Sprintf("10000\r\n%s\r\n", make([]byte, 0x10000)); ; {
				if _, err := io.WriteString(w, chunk); err != nil {
					return
				}
			}
		})
		d.wantRefused(t, got, 413, "too-large", "larger than the 1048576 allowed")
	})
	t.Run("shorter than announced", func(t *testing.T) {
		got := d.raw(func(w io.Writer) {
			fmt.Fprint(w, head+"Content-Length: 1000\r\n\r\nairlock-batch 1\n")
			_ = w.(*net.TCPConn).CloseWrite()
		})
		d.wantRefused(t, got, 400, "bad-request", "ends before its announced length")
	})
	t.Run("slow", func(t *testing.T) {
		got := d.raw(func(w io.Writer) { fmt.Fprint(w, head+"Content-Length: 1000\r\n\r\nairlock-batch 1\n") })
		d.wantRefused(t, got, 408, "slow", "too slowly")
	})
	if !maps.Equal(d.kept(), before) {
		t.Error("the store is not as it was")
	}
}
