package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/feed/kind"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// listsWorld is a home of acme/production that trusts acme/dev-qa and acme/hq for
// everything, and heeds the trust lists of acme/hq.
type listsWorld struct {
	*testing.T
	home    *Home
	dev, hq *feedtest.Author
	tape    *feedtest.Tape // of acme/hq/trust
	prod    trust.Lineage
	lacks   string // a package that the source does not carry
}

func (w *listsWorld) carries(row feed.Row) (bool, error) { return row.Ref.String() != w.lacks, nil }

func newListsWorld(t *testing.T) *listsWorld {
	t.Helper()
	prod := trusttest.New(t, "acme/production")
	w := &listsWorld{T: t, home: open(t, t.TempDir()), dev: feedtest.NewAuthor(t, "acme/dev-qa/shared"), hq: feedtest.NewAuthor(t, "acme/hq/trust"), prod: prod.Lineage()}
	w.tape = feedtest.NewTape(w.hq).Add(w.hq.Opening()...)
	if err := os.WriteFile(w.home.file("space.id"), prod.File(), 0o600); err != nil {
		t.Fatal(err)
	}
	w.trust(w.dev.Space, nil)
	w.trust(w.hq.Space, func(p *trust.Policy) { p.TrustLists = trust.ListsNarrow })
	return w
}

func (w *listsWorld) trust(s *trusttest.Space, change func(*trust.Policy)) {
	w.Helper()
	p := trust.NewPolicy(s.Name, s.Lineage())
	p.Allow = []trust.Allow{{Feeds: []string{"*"}, Kinds: []string{"*"}, Rights: []trust.Right{trust.MayPublish, trust.MayWithdraw}}}
	if change != nil {
		change(p)
	}
	if err := w.home.RemoveTrust(s.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.Fatal(err)
	}
	if err := w.home.AddTrust(s.History(), p); err != nil {
		w.Fatal(err)
	}
}

// doc is a trust list with an edge from acme/dev-qa to acme/production for kinds;
// none for none.
func (w *listsWorld) doc(kinds ...string) feedtest.File {
	text := "apiVersion: airlock.example/v1\nkind: TrustList\nname: acme\nedges: []\n"
	if len(kinds) > 0 {
		text = strings.Replace(text, "[]", fmt.Sprintf("\n  - from: {space: acme/dev-qa, lineage: %q}\n    to: {space: acme/production, lineage: %q}\n    allow: [{feeds: [shared], kinds: [%s], rights: [publish]}]",
			w.dev.Space.Lineage(), w.prod, strings.Join(kinds, ", ")), 1)
	}
	return feedtest.Text("acme.yaml", text)
}

// sync follows acme/hq/trust and takes in its lists; it returns those that were bad.
func (w *listsWorld) sync(src feed.Source) ([]error, error) {
	w.Helper()
	f := w.hq.Follower(src)
	var err error
	if f.View, err = w.home.View(w.hq.Space.Name); err != nil {
		return nil, err
	}
	if f.State, err = w.home.State(w.Context()); err != nil {
		return nil, err
	}
	s, _, err := f.Sync(w.Context(), w.hq.ID)
	if err != nil {
		return nil, err
	}
	n, err := w.home.NewLists(w.Context(), f, s, feedtest.Now, w.carries)
	if n == nil || err != nil {
		return nil, err
	}
	return n.Bad, w.home.TakeLists(w.Context(), f, s, n)
}

// add appends to the feed of the administrator, and has the home follow it.
func (w *listsWorld) add(statements ...feedtest.Signed) {
	w.Helper()
	w.tape.Add(statements...)
	if bad, err := w.sync(w.tape); err != nil || len(bad) > 0 {
		w.Fatalf("%v, bad lists %v", err, bad)
	}
}

// want asks whether a variable set of acme/dev-qa is let in; by names the list that
// keeps it out, "" where none does.
func (w *listsWorld) want(by string) {
	w.Helper()
	v, err := w.home.View(w.dev.Space.Name)
	if err != nil {
		w.Fatal(err)
	}
	err = v.Authorize(trust.Item{Feed: "shared", Kind: "variable-set", Name: "db", Version: "1", Right: trust.MayPublish}, feedtest.Now)
	denied, _ := errors.AsType[*trust.DeniedError](err)
	switch {
	case by == "" && err != nil:
		w.Errorf("kept out: %v", err)
	case by != "" && (denied == nil || denied.Rule != "trustLists" || !strings.Contains(denied.Why, by+", acme/hq/trust entry") || denied.File == ""):
		w.Errorf("got %v, want it kept out by %s", err, by)
	}
}

func TestLists(t *testing.T) {
	w := newListsWorld(t)
	before := w.home.Watermark()
	w.add(w.hq.Publish("trust-list/acme@1", w.doc("variable-set")))
	w.want("")
	if w.home.Watermark() == before {
		t.Error("an agent would not see that a list came")
	}
	w.add(w.hq.Publish("trust-list/acme@2", w.doc("file")))
	w.want("trust-list/acme@2")
	w.add() // nothing new
	w.want("trust-list/acme@2")

	// Somebody else's list, an older state of the feed, and bytes that are no list.
	pen := feedtest.NewPen(t, w.hq.Space, "mallory")
	w.add(w.hq.Draft(pen.Signer, "trust-list/acme@3", []feedtest.File{w.doc("variable-set")}, nil))
	w.want("trust-list/acme@2")
	old := feedtest.NewTape(w.hq).Add(w.hq.Opening()...).Add(w.hq.Publish("trust-list/acme@1", w.doc("variable-set")))
	if _, err := w.sync(old); !errors.As(err, new(*feed.RollbackError)) {
		t.Errorf("an older feed: %v", err)
	}
	w.want("trust-list/acme@2")
}

// What is none, and what nobody may say by now, leaves the list before in force.
func TestListsStay(t *testing.T) {
	w := newListsWorld(t)
	w.add(w.hq.Publish("trust-list/acme@1", w.doc()))
	w.tape.Add(w.hq.Publish("trust-list/acme@2", feedtest.Text("acme.yaml", "edges: all\n")))
	bad, err := w.sync(w.tape)
	if err != nil || len(bad) != 1 || !strings.Contains(bad[0].Error(), "trust-list/acme@2 is no trust list: acme.yaml:1:") {
		t.Errorf("%v, %v", bad, err)
	}
	w.want("trust-list/acme@1")

	w.lacks = "trust-list/acme@3"
	w.tape.Add(w.hq.Publish("trust-list/acme@3", w.doc("file")))
	if bad, err := w.sync(w.tape); err != nil || len(bad) != 1 || !strings.Contains(bad[0].Error(), "trust-list/acme@3 did not come along") {
		t.Errorf("%v, %v", bad, err)
	}
	w.want("trust-list/acme@1")
	w.lacks = ""
	w.add()
	w.want("trust-list/acme@3")

	w.trust(w.hq.Space, func(p *trust.Policy) {
		p.TrustLists, p.MaxAge = trust.ListsNarrow, trust.Duration(time.Hour)
	})
	w.add(w.hq.Publish("trust-list/acme@4", w.doc("variable-set"))) // and no sign of life
	w.want("trust-list/acme@3")
	w.trust(w.hq.Space, func(p *trust.Policy) { // withdrawing is a right of its own
		p.TrustLists, p.Allow[0].Rights = trust.ListsNarrow, []trust.Right{trust.MayPublish}
	})
	w.add(w.hq.Withdraw("trust-list/acme@4"))
	w.want("")
	w.add(w.hq.Publish("trust-list/acme@5", w.doc()), w.hq.Withdraw("trust-list/acme@5"))
	w.want("trust-list/acme@5")

	w.tape.Add(w.hq.Publish("trust-list/large@1", feedtest.Text("acme.yaml", strings.Repeat("#", kind.MaxDocument+1))))
	if bad, err := w.sync(w.tape); err != nil || len(bad) != 1 || !strings.Contains(bad[0].Error(), "trust-list/large@1 is no trust list: acme.yaml: 16777217 bytes, at most") {
		t.Errorf("%v, %v", bad, err)
	}
}

// A list that is withdrawn leaves what the policies here say, and so does the end of
// the trust.
func TestListsEnd(t *testing.T) {
	w := newListsWorld(t)
	w.add(w.hq.Publish("trust-list/acme@1", w.doc()), w.hq.Publish("trust-list/other@1", w.doc("variable-set")))
	w.want("trust-list/acme@1")
	w.add(w.hq.Withdraw("trust-list/acme@1"))
	w.want("")
	w.add(w.hq.Publish("trust-list/other@2", w.doc()))
	w.want("trust-list/other@2")
	w.trust(w.hq.Space, nil)
	w.want("")
	w.add(w.hq.Publish("trust-list/other@3", w.doc())) // which is not taken in
	w.trust(w.hq.Space, func(p *trust.Policy) { p.TrustLists = trust.ListsNarrow })
	w.want("trust-list/other@2")
	// Another Space of that name has said nothing.
	if err := w.home.RemoveTrust(w.hq.Space.Name); err != nil {
		t.Fatal(err)
	}
	w.want("")
	w.trust(trusttest.New(t, "acme/hq"), func(p *trust.Policy) { p.TrustLists = trust.ListsNarrow })
	w.want("")
}

// A home that holds no Space has no edge.
func TestListsWithoutSpace(t *testing.T) {
	w := newListsWorld(t)
	w.add(w.hq.Publish("trust-list/acme@1", w.doc("variable-set")))
	w.want("")
	if err := os.Remove(w.home.file("space.id")); err != nil {
		t.Fatal(err)
	}
	w.home = open(t, w.home.Path())
	w.want("trust-list/acme@1")
}

// A list that was changed by hand lets in nothing.
func TestListsChanged(t *testing.T) {
	w := newListsWorld(t)
	w.add(w.hq.Publish("trust-list/acme@1", w.doc()))
	lists, err := w.home.Lists()
	if err != nil || len(lists) != 1 {
		t.Fatalf("%v, %v", lists, err)
	}
	for what, change := range map[string]func() error{
		"widened": func() error { return os.WriteFile(lists[0].File, w.doc("variable-set").Data, 0o600) },
		"without files": func() error {
			index := filepath.Join(w.home.listsFolder(lists[0].Publisher, "trust"), ".airlock/index.json")
			b, err := os.ReadFile(index)
			if err != nil {
				return err
			}
			from, to := strings.Index(string(b), `"files":[`), strings.Index(string(b), `"index"`)
			return os.WriteFile(index, append(b[:from:from], b[to:]...), 0o600)
		},
		"removed": func() error { return os.Remove(lists[0].File) },
		"forgotten": func() error {
			return os.WriteFile(filepath.Join(w.home.listsFolder(lists[0].Publisher, "trust"), ".airlock/index.json"), []byte("{}"), 0o600)
		},
	} {
		os.Chmod(lists[0].File, 0o600)
		if err := change(); err != nil {
			t.Fatal(err)
		}
		_, err := w.home.View(w.dev.Space.Name)
		broken, ok := errors.AsType[*ListFileError](err)
		if !ok || !strings.Contains(broken.Hint(), broken.Folder) || !strings.Contains(broken.Hint(), "airlock pull acme/hq/trust") {
			t.Errorf("%s: %v", what, err)
		}
		if err := os.RemoveAll(w.home.file("lists")); err != nil {
			t.Fatal(err)
		}
		w.add()
		w.want("trust-list/acme@1")
	}
}
