package feedhttp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// TestPartPath has the example of C2SP tlog-tiles, and writes and reads back
// any number.
func TestPartPath(t *testing.T) {
	for n, want := range map[int64]string{0: "000", 999: "999", 1000: "x001/000", 1234067: "x001/x234/067", maxPartNumber: "x036/x028/x797/x018/x963/967"} {
		if got := formatPart(n, 0, 256); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	if n, _, _, ok := parsePart("x036/x028/x797/x018/x963/968"); ok {
		t.Errorf("%d is taken, which no log can have", n)
	}
	rapid.Check(t, func(t *rapid.T) {
		n, width := rapid.Int64Range(0, maxPartNumber).Draw(t, "n"), rapid.IntRange(1, 256).Draw(t, "width")
		from := 0
		if width < 256 {
			from = rapid.IntRange(0, width-1).Draw(t, "from")
		}
		gotN, gotFrom, gotWidth, ok := parsePart(formatPart(n, from, width))
		if !ok || gotN != n || gotFrom != from || gotWidth != width {
			t.Fatalf("%d, %d-%d becomes %d, %d-%d, %v", n, from, width, gotN, gotFrom, gotWidth, ok)
		}
	})
}

// TestPartOf: what is full is asked for whole, of the rest only what is wanted.
func TestPartOf(t *testing.T) {
	for _, c := range []struct {
		from, to int64
		want     string
	}{
		{0, 5, "segment/000.p/5"}, {3, 5, "segment/000.p/3-5"}, {0, 256, "segment/000"}, {3, 256, "segment/000"},
		{250, 300, "segment/000"}, {256, 300, "segment/001.p/44"}, {299, 300, "segment/001.p/43-44"},
	} {
		if got := PartOf(Segment, c.from, c.to).path(); got != c.want {
			t.Errorf("from %d to %d: %s, want %s", c.from, c.to, got, c.want)
		}
	}
}

// FuzzPart holds that there is one spelling of each part.
func FuzzPart(f *testing.F) {
	for _, s := range []string{"000", "x001/x234/067", "067.p/5", "x001/000.p/255", "x000/001", "1", "x001", "001/002", "000.p/256", "000.p/05", "000.p/3-5", "000.p/5-5", "000.p/0-5", "000.p/-1-5", "000.p/3-256", "000.p/03-5", "0/000.p/3-5", "entries/000.p/3-5", "000.p/", "0a0", "x036/x028/x797/x018/x963/968", "x999/x999/x999/x999/x999/x999/999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, from, width, ok := parsePart(s); ok && (formatPart(n, from, width) != s || from < 0 || from >= width) {
			t.Errorf("%q is read as %d, %d-%d, which is written %q", s, n, from, width, formatPart(n, from, width))
		}
		if p, ok := parseTile(s); ok && (p.path() != "tile/"+s || p.From > 0) {
			t.Errorf("%q is read as %+v, which is written %q", s, p, p.path())
		}
	})
}

// TestHeadsRequest has the example of the format, and writes and reads back any
// list of feeds.
func TestHeadsRequest(t *testing.T) {
	const example = `{"known":{"acme/dev-qa/receipts":0,"acme/dev-qa/shared":12},"wait":55}`
	rq, err := parseHeadsRequest([]byte(example))
	if err != nil || len(rq.Known) != 2 || rq.Wait != 55 {
		t.Errorf("the example is read as %+v, %v", rq, err)
	}
	label := rapid.StringMatching(`[a-z][a-z0-9]{0,20}-x`)
	rapid.Check(t, func(t *rapid.T) {
		want := headsRequest{Wait: rapid.Int64Range(0, maxWait).Draw(t, "wait"),
			Known: rapid.MapOfN(rapid.Custom(func(t *rapid.T) feed.ID {
				return feed.ID{Space: trust.Space{Organisation: label.Draw(t, "organisation"), Name: label.Draw(t, "space")}, Name: label.Draw(t, "feed")}
			}), rapid.Int64Range(0, 1<<53-1), 1, 20).Draw(t, "known")}
		b, err := signing.MarshalCanonical(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseHeadsRequest(b); err != nil || !cmp.Equal(got, want) {
			t.Fatalf("%s is read as %+v, %v", b, got, err)
		}
	})
}

// TestHeadsRequestBound holds that as many feeds fit into a request as may be
// asked for, and no more are read.
func TestHeadsRequestBound(t *testing.T) {
	rq := headsRequest{Known: map[feed.ID]int64{}, Wait: maxWait}
	long := strings.Repeat("a", 63)
	for i := range MaxHeads {
		rq.Known[feed.ID{Space: trust.Space{Organisation: long, Name: long}, Name: fmt.Sprintf("%063d", i)}] = 1<<53 - 1
	}
	b, err := signing.MarshalCanonical(rq)
	if err != nil || len(b) > maxHeadsBody {
		t.Errorf("the longest list has %d bytes, %v; %d may come", len(b), err, maxHeadsBody)
	}
	if _, err := parseHeadsRequest(b); err != nil {
		t.Error(err)
	}
	rq.Known[feed.ID{Space: trust.Space{Organisation: "acme", Name: "dev-qa"}, Name: "shared"}] = 0
	if b, err = signing.MarshalCanonical(rq); err != nil {
		t.Fatal(err)
	}
	if _, err := parseHeadsRequest(b); err == nil {
		t.Errorf("%d feeds are read", len(rq.Known))
	}
}

// FuzzHeadsRequest holds that a list of feeds has one form.
func FuzzHeadsRequest(f *testing.F) {
	for _, s := range []string{`{"known":{"acme/dev-qa/shared":12},"wait":55}`, `{"known":{"acme/dev-qa/shared":12}}`, `{"known":{},"wait":0}`,
		`{"known":{"acme/dev-qa/shared":-1},"wait":0}`, `{"known":{"acme/dev-qa/b":1,"acme/dev-qa/a":1},"wait":0}`, `{"wait":0,"known":{"a/b/c":1}}`, `null`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rq, err := parseHeadsRequest(b)
		if err != nil {
			return
		}
		if again, err := signing.MarshalCanonical(rq); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q is read as %+v, which is written %q, %v", b, rq, again, err)
		}
	})
}

// FuzzSpaces holds that a list of Spaces has one form.
func FuzzSpaces(f *testing.F) {
	for _, s := range []string{"", "space=acme/dev-qa", "space=acme/dev-qa&space=acme/other", "space=acme/other&space=acme/dev-qa",
		"space=acme/dev-qa&space=acme/dev-qa", "space=acme%2Fdev-qa", "space=acme/dev-qa&", "of=acme/dev-qa"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		spaces, err := parseSpaces(query)
		if err != nil || query == "" {
			return
		}
		names := make([]string, len(spaces))
		for i, s := range spaces {
			names[i] = s.String()
		}
		if again := formatSpaces(names); again != query {
			t.Errorf("%q is read as %v, which is written %q", query, spaces, again)
		}
	})
}

// TestBoardForm holds the form of a board on its way, and what is no such form.
func TestBoardForm(t *testing.T) {
	want := `{"tag":"0a","value":"Ym9hcmQ="}`
	if got, err := signing.MarshalCanonical(boardDoc{"0a", []byte("board")}); err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	if d, err := parseBoard([]byte(want)); err != nil || d.Tag != "0a" || string(d.Value) != "board" {
		t.Errorf("%+v, %v", d, err)
	}
	largest, err := signing.MarshalCanonical(boardDoc{strings.Repeat("x", 200), make([]byte, MaxBoard)})
	if err != nil || len(largest) > maxBoardBody {
		t.Errorf("the largest has %d bytes, %v", len(largest), err)
	}
	for _, s := range []string{``, `null`, `{}`, `{"value":"Ym9hcmQ=","tag":""}`, `{"tag":"","value":"x"}`, `{"tag":"","value":""}`, `{"tag":"","x":1}`} {
		if d, err := parseBoard([]byte(s)); err == nil {
			t.Errorf("%s is read as %+v", s, d)
		}
	}
	if _, err := parseBoard([]byte(`{"tag":"","value":"` + base64.StdEncoding.EncodeToString(make([]byte, MaxBoard+1)) + `"}`)); err == nil {
		t.Error("a larger one is read")
	}
}

// FuzzBoardForm holds that a board on its way has one form.
func FuzzBoardForm(f *testing.F) {
	for _, s := range []string{`{"tag":"0a","value":"Ym9hcmQ="}`, `{"tag":""}`, `{"tag":"","value":""}`, `null`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseBoard(b)
		if err != nil {
			return
		}
		if again, err := signing.MarshalCanonical(d); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q is read as %+v, which is written %q, %v", b, d, again, err)
		}
	})
}

// FuzzPath holds that a path of a feed is spelled in one way, by hand and by
// the router alike.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/v1/feeds/acme/dev-qa/shared/checkpoint", "/v1/feeds/acme/dev-qa/shared/object/00", "/v1/feeds/a/b/c/", "/v1/feeds/../b/c/d", "/v1/feeds/a//c/d", "/v1/feeds/A/b/c/d", "/v1/feeds/a/b/con/d", "/v1/feeds/a/b/c\xff/d", "/v1/", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		id, rest, ok := cutFeed(path)
		if !ok {
			return
		}
		if feedPath(id)+"/"+rest != path {
			t.Errorf("%q is read as %s and %q", path, id, rest)
		}
		if again, err := feed.ParseID(id.String()); err != nil || again != id {
			t.Errorf("%q gives the feed %q: %v", path, id, err)
		}
	})
}

// FuzzRange holds that a range never leaves the content.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=5-", "bytes=-5", "bytes=-0", "bytes=9-1", "bytes=0-1,2-3", "bytes= 0-1", "bytes=99999999999999999-", "lines=1-2", ""} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, s string, size int64) {
		r, ok := parseRange(s)
		if !ok || size < 0 {
			return
		}
		off, n, ok := r.resolve(size)
		if ok && (off < 0 || n < 1 || off+n > size) {
			t.Errorf("%q of %d bytes is %d bytes from %d", s, size, n, off)
		}
		if !ok {
			return
		}
		total, ok := parseContentRange(contentRange(off, n, size), off)
		if size < 1e18 && ok != (off+n == size) || ok && total != size {
			t.Errorf("%q comes back as %d, %v", contentRange(off, n, size), total, ok)
		}
	})
}

// FuzzProblem holds that no answer breaks a client or its terminal, and that
// what was restored is described in the same way again.
func FuzzProblem(f *testing.F) {
	ref := feed.Ref{Kind: "file", Name: "db", Version: "1"}
	for _, err := range []error{
		&feed.VersionError{Ref: ref, Have: storage.Digest{1}, Got: storage.Digest{2}, Index: 3},
		&feed.ChainError{Ref: ref}, &feed.MissingError{Objects: []storage.Ref{{Digest: storage.Digest{1}, Size: 2}}},
		&trust.DeniedError{Reason: trust.Untrusted, Rule: "role", Thing: "x", Why: "y"}, &OffsetError{7}, io.ErrUnexpectedEOF,
	} {
		r, d := describe(err, "request")
		body, _ := json.Marshal(d)
		f.Add(r.status, body)
	}
	f.Add(404, []byte("<html>"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := parseProblem(status, problemMediaType, body)
		if clean(e.Error()) != e.Error() && len(e.Error()) <= maxText {
			t.Errorf("the message %q cannot be shown", e.Error())
		}
		if e.cause == nil {
			return
		}
		if r, d := describe(e.cause, ""); r.status == status && r.name == e.Name {
			if again := r.restore(&d); again != e.cause && !cmp.Equal(again, e.cause) {
				if _, text := errors.AsType[*RequestError](again); !text {
					t.Errorf("%#v becomes %#v", e.cause, again)
				}
			}
		}
	})
}

// FuzzBatch holds that what parses is written in the same way again.
func FuzzBatch(f *testing.F) {
	a := feedtest.NewAuthor(f, "acme/dev-qa/shared")
	batch := feed.Batch{Feed: a.ID, Epoch: 1, Statements: []signing.Attestation{a.Opening()[0].Attestation},
		Objects: []feed.Content{feed.ContentOf([]byte("an object")), feed.ContentOf(nil)}}
	whole := encode(f, batch)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(bytes.Replace(whole, []byte("airlock-batch 1"), []byte("airlock-batch 2"), 1))
	f.Add(append(bytes.Clone(whole), whole[len(whole)-40:]...))
	f.Add([]byte(batchHeader))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ParseBatch(b, a.ID)
		if err != nil {
			return
		}
		if again := encode(t, got); !bytes.Equal(again, b) {
			t.Errorf("%d bytes become %d other ones", len(b), len(again))
		}
	})
}

// encode writes a batch as a client sends it, in odd pieces.
func encode(tb testing.TB, b feed.Batch) []byte {
	tb.Helper()
	rq := batchRequest(b, "/entries", b.Objects, 0)
	body, err := rq.body()
	if err != nil {
		tb.Fatal(err)
	}
	defer body.Close()
	out, err := io.ReadAll(iotest.HalfReader(body))
	if err != nil || int64(len(out)) != rq.length {
		tb.Fatalf("%d bytes, announced %d: %v", len(out), rq.length, err)
	}
	return out
}

// TestBatchRefusals breaks a batch in ways that its lengths do not show.
func TestBatchRefusals(t *testing.T) {
	a := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	head := appendStatements(nil, 1, []signing.Attestation{a.Opening()[0].Attestation})
	object := func(size uint64, b []byte) []byte {
		out := append(bytes.Clone(head), appendInlineHeader(nil, storage.Ref{Digest: storage.DigestOf(b), Size: int64(size)})...)
		return append(out, b...)
	}
	if b, err := ParseBatch(object(3, []byte("abc")), a.ID); err != nil || len(b.Objects) != 1 {
		t.Fatalf("a good batch: %v", err)
	}
	for name, bad := range map[string][]byte{
		"object cut off":         object(4, []byte("abc")),
		"bytes behind":           append(object(3, []byte("abc")), 0),
		"object twice":           append(object(3, []byte("abc")), object(3, []byte("abc"))[len(head):]...),
		"object too large":       object(MaxInline+1, make([]byte, MaxInline+1)),
		"size with the sign bit": object(1<<63, []byte("abc")),
	} {
		if _, err := ParseBatch(bad, a.ID); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := ParseBatch(make([]byte, MaxBatch+1), a.ID)
	if _, ok := errors.AsType[*LimitError](err); !ok {
		t.Errorf("too large: %v", err)
	}
}

// TestDecoderBound holds that what a server compressed never becomes more in
// memory than the largest part there is.
func TestDecoderBound(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := newDecoder()
	if err != nil {
		t.Fatal(err)
	}
	const most = max(feed.MaxPack, feed.MaxSegment)
	for size, want := range map[int]error{most: nil, most + 1: zstd.ErrDecoderSizeExceeded} {
		got, err := decoder.DecodeAll(encoder.EncodeAll(make([]byte, size), nil), nil)
		if !errors.Is(err, want) || want == nil && len(got) != size {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
}

// TestDivide holds that a client's batch never exceeds what a server takes.
func TestDivide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.Int64Range(0, 2*MaxInline), 0, 200).Draw(t, "sizes")
		var objects []feed.Content
		for i, size := range sizes {
			objects = append(objects, feed.Content{Ref: storage.Ref{Digest: storage.Digest{byte(i), 1}, Size: size}})
		}
		inline, large := divide(append(objects, objects...), maxInlineTotal) // everything twice
		total := int64(0)
		for _, o := range inline {
			if total += o.Size + int64(inlineHeader); o.Size > MaxInline {
				t.Fatalf("an object of %d bytes", o.Size)
			}
		}
		if total > maxInlineTotal || len(inline)+len(large) != len(sizes) {
			t.Fatalf("%d bytes inside, %d + %d of %d objects", total, len(inline), len(large), len(sizes))
		}
	})
}
