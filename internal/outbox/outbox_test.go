package outbox

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/internal/home"
	"airlock/internal/publish"
	"airlock/internal/server"
	"airlock/internal/tsa"
	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

var now = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

func clock() time.Time { return now }

// site is a Space with a home, and the server that keeps its receipts.
type site struct {
	testing.TB
	srv *server.Server
	own *trust.History
}

func newSite(t testing.TB) (*site, *house) {
	t.Helper()
	s := &site{TB: t, srv: server.New(server.Config{Store: storage.NewMem(), LogKey: feedtest.Key(1), Now: clock})}
	t.Cleanup(func() { _ = s.srv.Close() })
	h := s.house(filepath.Join(t.TempDir(), "home"))
	var err error
	s.own, err = h.home.Init(t.Context(), home.NewSpace{Space: trust.Space{Organisation: "acme", Name: "production"},
		Issuer: "https://id.acme.example", Person: "bob", Now: now})
	if err == nil {
		err = s.srv.AdmitSelf(t.Context(), s.own)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, h
}

// house is one process with the home of a site.
type house struct {
	*Outbox
	s    *site
	home *home.Home
	path string
}

func (s *site) house(path string) *house {
	s.Helper()
	h, err := home.Open(path)
	if err != nil {
		s.Fatal(err)
	}
	box, err := Open(s.Context(), h)
	if err != nil {
		s.Fatal(err)
	}
	return &house{box, s, h, path}
}

// restart is what comes after the process died.
func (h *house) restart() *house { return h.s.house(h.path) }

// backup copies the home.
func (h *house) backup() *house {
	h.s.Helper()
	to := filepath.Join(h.s.TempDir(), "backup")
	if err := os.CopyFS(to, os.DirFS(h.path)); err != nil {
		h.s.Fatal(err)
	}
	return h.s.house(to)
}

var acted = feed.ID{Space: trust.Space{Organisation: "acme", Name: "dev-qa"}, Name: "shared"}

// receipt is one about file/<name>@1.
func (h *house) receipt(name string) receipts.Receipt {
	h.s.Helper()
	c, err := feedtest.Key(2).Sign(acted.Origin(1), 7, tlog.Hash{1})
	if err != nil {
		h.s.Fatal(err)
	}
	state := &feed.State{ID: acted, Lineage: trust.Lineage{1}, Epoch: 1, Note: c.Note}
	own := Own{Feed: feed.ID{Space: h.s.own.Space(), Name: receipts.Feed}, Epoch: 1, Lineage: h.s.own.Lineage()}
	row := feed.Row{ID: signing.ID(storage.DigestOf([]byte(name)))}
	return Context{Own: own, Acted: state, Now: now}.Receipts([]Fact{{Row: row, Ref: feed.Ref{Kind: "file", Name: name, Version: "1"},
		Manifest: storage.DigestOf([]byte(name)), Operation: "same", Outcome: receipts.Applied}})[0]
}

func (h *house) record(names ...string) {
	h.s.Helper()
	var all []receipts.Receipt
	for _, n := range names {
		all = append(all, h.receipt(n))
	}
	if err := h.Record(h.s.Context(), all); err != nil {
		h.s.Fatal(err)
	}
}

// log is the way to the site's server.
func (h *house) log() *siteLog {
	h.s.Helper()
	signer, err := h.home.Publisher(nil)
	if err != nil {
		h.s.Fatal(err)
	}
	l := &siteLog{h: h, id: feed.ID{Space: h.s.own.Space(), Name: receipts.Feed}}
	l.Publisher = &publish.Publisher{Feed: l.id, To: h.s.srv.Local(), Own: h.s.own, Sign: signer, State: h.state, Now: clock,
		Sync: func(ctx context.Context) (*feed.State, error) {
			state, _, err := l.follower().Sync(ctx, l.id)
			return state, err
		}}
	return l
}

type siteLog struct {
	*publish.Publisher
	h  *house
	id feed.ID
}

func (l *siteLog) follower() *feed.Follower {
	view, err := l.h.home.View(l.id.Space)
	if err != nil {
		l.h.s.Fatal(err)
	}
	return &feed.Follower{Source: l.h.s.srv.Local(), View: view, State: l.h.state, Now: clock}
}

func (l *siteLog) Sync(ctx context.Context) (*feed.State, error) { return l.Publisher.Sync(ctx) }

func (l *siteLog) Attestations(ctx context.Context, s *feed.State, rows []feed.Row, each func(feed.Row, signing.Attestation) error) error {
	return l.follower().Attestations(ctx, s, rows, each)
}

// send signs and sends what waits.
func (h *house) send() (int, error) {
	h.s.Helper()
	l := h.log()
	id, err := h.home.EnsureTimeAuthority("acme/production", now)
	if err != nil {
		h.s.Fatal(err)
	}
	if _, err := h.Sign(h.s.Context(), l.Publisher.Sign, tsa.New(id, clock)); err != nil {
		h.s.Fatal(err)
	}
	return h.Send(h.s.Context(), l)
}

func (h *house) mustSend(want int) {
	h.s.Helper()
	if n, err := h.send(); err != nil || n != want {
		h.s.Fatalf("sent %d, %v; want %d", n, err, want)
	}
	if waiting, err := h.Waiting(h.s.Context()); err != nil || len(waiting) != 0 {
		h.s.Fatalf("%d still wait, %v", len(waiting), err)
	}
}

// arrived follows the feed anew and returns "<number> <name>" of each receipt;
// the ledger must find nothing, and each carries a token that holds.
func (s *site) arrived(from *house) []string {
	s.Helper()
	view, err := trust.NewView(s.own.Clone(), nil)
	if err != nil {
		s.Fatal(err)
	}
	f := &feed.Follower{Source: s.srv.Local(), View: view, State: storage.NewMem(), Now: clock}
	state, report, err := f.Sync(s.Context(), feed.ID{Space: s.own.Space(), Name: receipts.Feed})
	if err != nil || len(report.Void) > 0 {
		s.Fatalf("%v, void %v", err, report.Void)
	}
	id, err := from.home.TimeAuthority()
	if err != nil {
		s.Fatal(err)
	}
	believed, err := signing.ParseAuthorities(id.RootPEM())
	if err != nil {
		s.Fatal(err)
	}
	ledger, out := receipts.NewLedger(), []string{}
	err = ledger.Read(s.Context(), f, state, func(e receipts.Entry, a signing.Attestation) error {
		out = append(out, string(rune('0'+e.Number))+" "+e.Publication.Name)
		got, err := believed.Verify(a)
		if err == nil && !got.Time.Equal(now) {
			err = errors.New("another time")
		}
		return err
	})
	if err != nil || len(ledger.Findings()) > 0 {
		s.Errorf("%v, findings %v", err, ledger.Findings())
	}
	return out
}

func (s *site) wantArrived(from *house, want ...string) {
	s.Helper()
	if got := s.arrived(from); !slices.Equal(got, want) {
		s.Errorf("arrived %v, want %v", got, want)
	}
}

// Receipts keep their numbers and their chain from one process to the next.
func TestRecordAndSend(t *testing.T) {
	s, h := newSite(t)
	h.mustSend(0)
	h.record("a", "b")
	h.record("c")
	h.mustSend(3)
	h = h.restart()
	h.record("d")
	h.mustSend(1)
	h.mustSend(0)
	s.wantArrived(h, "1 a", "2 b", "3 c", "4 d")
}

// Where the process dies after the file is there and before the book says so,
// the numbers are given out all the same.
func TestDiedBeforeBook(t *testing.T) {
	s, h := newSite(t)
	h.record("a")
	before := h.book()
	h.record("b", "c")
	h.putBook(before)
	h = h.restart()
	h.record("d")
	h.mustSend(4)
	s.wantArrived(h, "1 a", "2 b", "3 c", "4 d")
}

// Where it dies after the feed took the receipts and before the file is gone,
// they are not in twice.
func TestDiedBeforeRemoval(t *testing.T) {
	s, h := newSite(t)
	h.record("a", "b")
	file, err := h.home.ReadReceipts(h.instance(), 1)
	if err != nil {
		t.Fatal(err)
	}
	h.mustSend(2)
	if err := h.home.AddReceipts(h.instance(), 1, file); err != nil {
		t.Fatal(err)
	}
	h = h.restart()
	h.record("c")
	h.mustSend(3)
	s.wantArrived(h, "1 a", "2 b", "3 c")
}

// A home without its state does not know its numbers: it goes on under another
// instance, and what waited goes with it.
func TestStateLost(t *testing.T) {
	s, h := newSite(t)
	h.record("a")
	h.mustSend(1)
	h.record("b")
	before := h.instance()
	if err := os.RemoveAll(filepath.Join(h.path, "state")); err != nil {
		t.Fatal(err)
	}
	h = h.restart()
	h.record("c")
	h.mustSend(2)
	if h.instance() == before {
		t.Error("the instance is the same")
	}
	s.wantArrived(h, "1 a", "1 b", "2 c")
}

// A home that was put back finds receipts in its feed that it does not know.
func TestPutBack(t *testing.T) {
	s, h := newSite(t)
	h.record("a")
	h.mustSend(1)
	h.record("b") // waits in the backup, and is sent by the first
	old := h.backup()
	h.record("c")
	h.mustSend(2)
	old.record("d")
	if _, err := old.send(); !errors.Is(err, ErrRenewed) {
		t.Fatalf("a home that was put back: %v", err)
	}
	old = old.restart()
	old.mustSend(2)
	h.record("e")
	h.mustSend(1)
	s.wantArrived(h, "1 a", "2 b", "3 c", "1 b", "2 d", "4 e")
}

// Processes of one home give no number out twice.
func TestConcurrent(t *testing.T) {
	s, h := newSite(t)
	var wg sync.WaitGroup
	for i := range 4 {
		mine := h.restart()
		wg.Go(func() {
			for range 10 {
				mine.record(strings.Repeat("x", i+1))
				if _, err := mine.send(); err != nil && !errors.Is(err, ErrUnsigned) { // another's, who will
					t.Errorf("process %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	if _, err := h.send(); err != nil {
		t.Fatal(err)
	}
	if n := len(s.arrived(h)); n != 40 {
		t.Errorf("%d receipts arrived, want 40", n)
	}
}

// What is not signed is not sent, nor what comes after it.
func TestUnsigned(t *testing.T) {
	_, h := newSite(t)
	h.record("a")
	if n, err := h.Send(t.Context(), h.log()); n != 0 || !errors.Is(err, ErrUnsigned) {
		t.Errorf("%d, %v", n, err)
	}
	if waiting, err := h.Waiting(t.Context()); err != nil || len(waiting) != 1 || waiting[0].Signed {
		t.Errorf("%+v, %v", waiting, err)
	}
}

// What is signed is shown in the order of the numbers, and let go of file by file,
// once the feed holds all of one.
func TestArrived(t *testing.T) {
	_, h := newSite(t)
	h.record("a", "b")
	var shown []signing.ID
	show := func(signed []signing.Attestation) {
		for _, a := range signed {
			shown = append(shown, a.ID())
		}
	}
	if err := h.Signed(t.Context(), show); err != nil || len(shown) > 0 {
		t.Errorf("%d before they are signed, %v", len(shown), err)
	}
	clock, err := h.home.EnsureTimeAuthority("acme/production", now)
	if err == nil {
		_, err = h.Sign(t.Context(), h.log().Publisher.Sign, tsa.New(clock, func() time.Time { return now }))
	}
	if err != nil {
		t.Fatal(err)
	}
	h.record("c")
	all, err := h.Waiting(t.Context())
	if err != nil || len(all) != 3 {
		t.Fatalf("%d wait, %v", len(all), err)
	}
	if err := h.Signed(t.Context(), show); err != nil || !slices.Equal(shown, []signing.ID{all[0].ID, all[1].ID}) {
		t.Errorf("shown %v, %v", shown, err)
	}
	for _, c := range []struct {
		held []signing.ID
		want int
	}{{nil, 3}, {shown[:1], 3}, {shown, 1}} {
		err := h.Arrived(t.Context(), func(id signing.ID) bool { return slices.Contains(c.held, id) })
		if left, waitErr := h.Waiting(t.Context()); err != nil || waitErr != nil || len(left) != c.want {
			t.Errorf("with %d in the feed %d wait, want %d; %v, %v", len(c.held), len(left), c.want, err, waitErr)
		}
	}
	h.record("d")
	if all, err := h.Waiting(t.Context()); err != nil || len(all) != 2 || all[1].Number != 4 {
		t.Errorf("after them %+v, %v", all, err)
	}
}

// A batch is more than a file holds.
func TestManyReceipts(t *testing.T) {
	s, h := newSite(t)
	h.record(slices.Repeat([]string{"a"}, fileSize+5)...)
	h.mustSend(fileSize + 5)
	if n := len(s.arrived(h)); n != fileSize+5 {
		t.Errorf("%d arrived", n)
	}
}

// A receipt that cannot be is refused before anything is written.
func TestRecordRefuses(t *testing.T) {
	_, h := newSite(t)
	bad := h.receipt("a")
	bad.Outcome = "fine"
	if err := h.Record(t.Context(), []receipts.Receipt{h.receipt("b"), bad}); err == nil || !strings.Contains(err.Error(), "outcome") {
		t.Errorf("%v", err)
	}
	h.record("c")
	if waiting, err := h.Waiting(t.Context()); err != nil || len(waiting) != 1 || waiting[0].Number != 1 {
		t.Errorf("%+v, %v", waiting, err)
	}
}

func (h *house) book() book {
	h.s.Helper()
	b, err := h.load(h.s.Context())
	if err != nil {
		h.s.Fatal(err)
	}
	return *b
}

func (h *house) instance() string { b := h.book(); return b.Instance }

// putBook puts an earlier book in the cell.
func (h *house) putBook(b book) {
	h.s.Helper()
	_, tag, err := h.state.Cells.Load(h.s.Context(), bookKey)
	if err != nil {
		h.s.Fatal(err)
	}
	b.tag = tag
	if err := h.save(h.s.Context(), &b); err != nil {
		h.s.Fatal(err)
	}
}

// A book that is damaged, or of another version, is not taken for an empty one.
func TestBookRefused(t *testing.T) {
	_, h := newSite(t)
	h.record("a")
	value, tag, err := h.state.Cells.Load(t.Context(), bookKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"another version": {bookFormat, "airlock-receipts 2"},
		"cut":             {"}", ""},
		"instance":        {`"instance":"`, `"instance":"x`},
		"no last":         {`"last":`, `"lost":`},
		"below zero":      {`"number":1`, `"number":-1`},
		"none given out":  {`"number":1`, `"number":0`},
	} {
		bad := strings.Replace(string(value), change[0], change[1], 1)
		if tag, err = h.state.Cells.Swap(t.Context(), bookKey, tag, []byte(bad)); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Waiting(t.Context()); err == nil || !strings.Contains(err.Error(), "book of receipts") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestParseFile takes a file apart and puts it together, and refuses what no
// home wrote.
func TestParseFile(t *testing.T) {
	_, h := newSite(t)
	h.record("a", "b", "c")
	plain, err := h.home.ReadReceipts(h.instance(), 1)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := parseFile(plain)
	if err != nil || len(lines) != 3 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	if again, err := formatFile(lines); err != nil || !bytes.Equal(again, plain) {
		t.Errorf("became %s, %v", again, err)
	}
	texts := bytes.SplitAfter(plain, []byte("\n"))
	for name, b := range map[string][]byte{
		"empty":             nil,
		"header alone":      []byte(fileHeader),
		"another header":    bytes.Replace(plain, []byte("1"), []byte("2"), 1),
		"cut":               plain[:len(plain)-1],
		"an empty line":     append(bytes.Clone(plain), '\n'),
		"out of order":      slices.Concat(texts[0], texts[2], texts[1]),
		"one left out":      slices.Concat(texts[0], texts[1], texts[3]),
		"one twice":         slices.Concat(texts[0], texts[1], texts[1]),
		"no receipt":        append([]byte(fileHeader), "{}\n"...),
		"another statement": bytes.Replace(plain, []byte(`receipt/v1"`), []byte(`holdings/v1"`), 1),
	} {
		if _, err := parseFile(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzFile: what is read is written the same.
func FuzzFile(f *testing.F) {
	st := []byte(`{"_type":"https://in-toto.io/Statement/v1"}`)
	f.Add([]byte(fileHeader))
	f.Add(slices.Concat([]byte(fileHeader), st, []byte("\n")))
	if b, err := os.ReadFile(filepath.Join("..", "..", "receipts", "testdata", "receipt.json")); err == nil {
		f.Add(slices.Concat([]byte(fileHeader), b, []byte("\n")))
		f.Add(slices.Concat([]byte(fileHeader), b, []byte("\n"), b, []byte("\n")))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, err := parseFile(b)
		if err != nil {
			return
		}
		if again, err := formatFile(lines); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q became %q, %v", b, again, err)
		}
	})
}

// Where somebody else brought the feed, a home that was put back learns from it which
// numbers it gave out, once, and one that was not goes on as it was.
func TestRecall(t *testing.T) {
	s, h := newSite(t)
	h.record("a")
	h.mustSend(1)
	old := h.backup()
	h.record("b")
	h.mustSend(1)
	h.record("c")
	old.record("d")
	l := h.log()
	state, err := l.Sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Recall(t.Context(), state, l); !errors.Is(err, ErrRenewed) {
		t.Errorf("a home that was put back: %v", err)
	}
	for name, home := range map[string]*house{"that was put back": old, "that was not": h} {
		before := home.instance()
		err := home.Recall(t.Context(), state, l)
		if known, knownErr := home.Known(t.Context()); err != nil || knownErr != nil || known != state.Index.Size() || home.instance() != before {
			t.Errorf("a home %s: %v, %v, knows %d of %d", name, err, knownErr, known, state.Index.Size())
		}
	}
	old.mustSend(1)
	h.mustSend(1)
	s.wantArrived(h, "1 a", "2 b", "1 d", "3 c")
}
