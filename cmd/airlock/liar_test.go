package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// liar is a server that has the log key of acme/dev-qa/shared and no scruples: it
// lets anything into its log, and shows what it likes. The Space itself is
// honest: alice published file/motd@1 and file/other@1 before the last entry
// dropped her, carol publishes now, and bob approves.
type liar struct {
	*feedtest.Author
	pen    *feedtest.Pen
	alice  *signing.Signer
	second feedtest.Signed // see motd
	tape   *feedtest.Tape
	number int // of the last note

	mu     sync.Mutex
	source lyingSource
	answer http.HandlerFunc // where set, the answer to everything
}

type lyingSource interface {
	feed.Source
	feed.Tiles
}

// scriptTB lets helpers for tests be used in a script.
type scriptTB struct {
	testing.TB
	ts *testscript.TestScript
}

func (s scriptTB) Helper()           {}
func (s scriptTB) Fatal(args ...any) { s.ts.Fatalf("%s", fmt.Sprint(args...)) }

type liarKey struct{}

// startLiar runs "liar NAME": the server's address is $NAME_URL, the Space's
// identity file NAME.id, its lineage $NAME_LINEAGE.
func startLiar(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: liar NAME")
	}
	tb := scriptTB{ts: ts}
	l := &liar{Author: feedtest.NewAuthor(tb, "acme/dev-qa/shared")}
	l.pen, l.alice = feedtest.NewPen(tb, l.Space, "carol"), l.Space.Publisher
	l.tape = feedtest.NewTape(l.Author).Add(l.Opening()...)
	l.tape.Add(l.Publish("file/motd@1", feedtest.Text("motd.txt", "hello\n")), l.Publish("file/other@1"))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".id"), l.Space.File(), 0o600))
	l.Space.Next(func(id *trust.Identity) { l.Space.Drop(id, l.alice) })
	l.tape.Add(l.Identity(3)...)
	l.source = l.tape

	h, err := feedhttp.New(feedhttp.Config{Reader: l})
	ts.Check(err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		answer := l.answer
		l.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		h.ServeHTTP(w, r)
	}))
	ts.Defer(func() { server.Close(); h.Close() })
	ts.Setenv(args[0]+"_URL", server.URL)
	ts.Setenv(args[0]+"_LINEAGE", l.Space.Lineage().String())
	liars(ts)[args[0]] = l
}

func liars(ts *testscript.TestScript) map[string]*liar {
	return ts.Value(liarKey{}).(map[string]*liar)
}

func liarOf(ts *testscript.TestScript, neg bool, args []string, usage string) *liar {
	if neg || len(args) != 2 || liars(ts)[args[0]] == nil {
		ts.Fatalf("usage: %s", usage)
	}
	return liars(ts)[args[0]]
}

// addEntry runs "entry NAME WHAT": the log gets an entry, whatever it is worth.
func addEntry(ts *testscript.TestScript, neg bool, args []string) {
	l := liarOf(ts, neg, args, "entry NAME WHAT")
	draft, ok := badEntries[args[1]]
	if !ok {
		ts.Fatalf("there is no entry %q", args[1])
	}
	s := draft(l, scriptTB{ts: ts}, "file/"+args[1]+"@1")
	if l.tape.Add(s); args[1] == "high-s" {
		l.tape = l.withHighS(scriptTB{ts: ts}, s)
	}
	l.show(l.tape, nil)
}

// tellLie runs "lie NAME WHAT": from now on the server shows that, and "nothing"
// but the truth again.
func tellLie(ts *testscript.TestScript, neg bool, args []string) {
	l := liarOf(ts, neg, args, "lie NAME WHAT")
	if answer, ok := rawAnswers[args[1]]; ok {
		l.show(l.tape, answer)
		return
	}
	tell, ok := lies[args[1]]
	if !ok {
		ts.Fatalf("there is no lie %q", args[1])
	}
	l.show(tell(l, scriptTB{ts: ts}), nil)
}

func (l *liar) show(source lyingSource, answer http.HandlerFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.source, l.answer = source, answer
}

func (l *liar) shown() lyingSource {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.source
}

// note is an entry of a kind that this version does not know: it is kept and
// shown, and where it is critical it stops whoever follows.
func (l *liar) note(tb testing.TB, critical bool) feedtest.Signed {
	l.number++
	members := map[string]any{"epoch": 1, "feed": l.ID.String(), "lineage": l.Space.Lineage().String(), "number": l.number}
	if critical {
		members["critical"] = true
	}
	predicate, err := signing.MarshalCanonical(members)
	if err != nil {
		tb.Fatal(err)
	}
	return l.Sign(l.pen.Signer, signing.Statement{Kind: "note", Subject: storage.DigestOf(predicate), SubjectName: "a note", Predicate: predicate}, nil)
}

var _ feedhttp.Reader = (*liar)(nil)

// LogKey returns the log's public key.
func (l *liar) LogKey(context.Context) ([]byte, error) { return l.Key.Public(), nil }

// Feeds lists the one feed.
func (l *liar) Feeds(context.Context, feedhttp.Caller, []trust.Space) ([]feed.ID, error) {
	return []feed.ID{l.ID}, nil
}

// Head returns the checkpoint that is shown.
func (l *liar) Head(ctx context.Context, _ feedhttp.Caller, id feed.ID, _ int64) (feed.Checkpoint, error) {
	return l.shown().Checkpoint(ctx, id)
}

// Heads shows it to who knows another one, and waits for nothing.
func (l *liar) Heads(ctx context.Context, c feedhttp.Caller, known map[feed.ID]int64, _ time.Duration) (map[feed.ID]feed.Checkpoint, error) {
	out := map[feed.ID]feed.Checkpoint{}
	for id, size := range known {
		if head, err := l.Head(ctx, c, id, size); err == nil && head.Size != size {
			out[id] = head
		}
	}
	return out, nil
}

// Part returns a segment or a tile. There are no packs, so that all objects are
// asked for by their digests.
func (l *liar) Part(ctx context.Context, _ feedhttp.Caller, id feed.ID, p feedhttp.Part) ([]byte, error) {
	switch p.Kind {
	case feedhttp.Tile:
		return l.shown().Tile(ctx, id, p.Level, p.N, p.Width)
	case feedhttp.Segment:
		start := p.N * feed.SegmentSize
		for s, err := range l.shown().Segments(ctx, id, start, start+int64(p.Width)) {
			s.Statements = s.Statements[min(p.From, len(s.Statements)):]
			return s.Format(), err
		}
	}
	return nil, fmt.Errorf("part %v: %w", p, fs.ErrNotExist)
}

// Object returns an object, which is small.
func (l *liar) Object(ctx context.Context, _ feedhttp.Caller, id feed.ID, d storage.Digest, _ feedhttp.Of, off int64) (feedhttp.Object, error) {
	r, err := l.shown().Object(ctx, id, d, 0)
	if err != nil {
		return feedhttp.Object{}, err
	}
	b, err := io.ReadAll(r)
	return feedhttp.Object{ReadCloser: io.NopCloser(bytes.NewReader(b[min(off, int64(len(b))):])), Size: int64(len(b))}, err
}

// Chunks knows of none: its objects are small.
func (l *liar) Chunks(context.Context, feedhttp.Caller, feed.ID, storage.Digest) ([]byte, error) {
	return nil, fs.ErrNotExist
}

// Delta knows of none.
func (l *liar) Delta(context.Context, feedhttp.Caller, feed.ID, storage.Digest, storage.Digest) ([]byte, error) {
	return nil, fs.ErrNotExist
}

// rawAnswers are those of a server that does not speak the interface at all.
var rawAnswers = map[string]http.HandlerFunc{
	"endless": func(w http.ResponseWriter, _ *http.Request) {
		for block := []byte(strings.Repeat("airlock ", 8<<10)); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	},
	"nonsense": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "nonsense") },
}
