package feedtest

import (
	"maps"
	"testing"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// Signed is a statement together with the objects that it names.
type Signed struct {
	signing.Attestation
	Objects [][]byte
}

// Author signs the statements of one feed and knows where each name stands. It
// is not for concurrent use.
type Author struct {
	Space *trusttest.Space
	ID    feed.ID
	Epoch uint64
	Key   feed.LogKey // the key that the opening names

	tb        testing.TB
	heads     map[string]signing.ID
	manifests map[feed.Ref]storage.Digest
}

// Clone returns an author of the same feed, whose Space goes its own way from here.
func (a *Author) Clone(tb testing.TB) *Author {
	c := *a
	c.tb, c.Space, c.heads, c.manifests = tb, a.Space.Clone(tb), maps.Clone(a.heads), maps.Clone(a.manifests)
	return &c
}

// NewAuthor returns the author of "<organisation>/<space>/<feed>", epoch 1.
func NewAuthor(tb testing.TB, name string) *Author {
	tb.Helper()
	id, err := feed.ParseID(name)
	check(tb, err)
	return AuthorOf(tb, trusttest.New(tb, id.Space.String()), id.Name)
}

// AuthorOf returns the author of a feed of a Space that exists.
func AuthorOf(tb testing.TB, space *trusttest.Space, name string) *Author {
	return &Author{
		Space: space, ID: feed.ID{Space: space.Name, Name: name}, Epoch: 1, Key: Key(1),
		tb: tb, heads: map[string]signing.ID{}, manifests: map[feed.Ref]storage.Digest{},
	}
}

// Opening returns the first entries of a feed: the opening under the current
// identity, and all identity versions.
func (a *Author) Opening() []Signed {
	a.tb.Helper()
	version := a.Space.History().Current().Version
	o := feed.Opening{Epoch: a.Epoch, Feed: a.ID, Identity: version, Lineage: a.Space.Lineage(),
		LogKey: a.Key.Public(), Origin: a.ID.Origin(a.Epoch)}
	st, err := o.Statement()
	out := []Signed{a.Sign(a.Space.Publisher, st, err)}
	for n := range version {
		out = append(out, a.Identity(n+1)...)
	}
	return out
}

// Identity returns the statements that put version n of the identity in force.
func (a *Author) Identity(n int) []Signed {
	v := a.Space.Version(n)
	var out []Signed
	for _, st := range v.Statements {
		out = append(out, Signed{st, [][]byte{v.Identity.Raw()}})
	}
	return out
}

// Publish signs the publication of "<kind>/<name>@<version>" and makes it the
// head of its name.
func (a *Author) Publish(ref string, files ...File) Signed {
	a.tb.Helper()
	s := a.Draft(a.Space.Publisher, ref, files, nil)
	a.heads[headOf(ref)] = s.ID()
	return s
}

// Draft signs a publication by any key, changed by change, and moves no head.
func (a *Author) Draft(by *signing.Signer, ref string, files []File, change func(*feed.Publication)) Signed {
	a.tb.Helper()
	r := ParseRef(ref)
	m := feed.Manifest{Kind: r.Kind, Title: r.Name, Version: r.Version}
	objects := [][]byte{nil}
	if len(files) == 0 {
		files = []File{Text("content", ref)}
	}
	for _, f := range files {
		m.Layers = append(m.Layers, feed.Layer{Ref: storage.RefOf(f.Data), Path: f.Path, MediaType: "application/octet-stream"})
		objects = append(objects, f.Data)
	}
	raw, err := m.Format()
	check(a.tb, err)
	objects[0] = raw
	p := feed.Publication{Epoch: a.Epoch, Feed: a.ID, Kind: r.Kind, Lineage: a.Space.Lineage(), ManifestSize: int64(len(raw)),
		Name: r.Name, Previous: a.head(ref), Time: "2026-02-03T04:05:06Z", Title: r.Name, Version: r.Version}
	if change != nil {
		change(&p)
	}
	manifest := storage.DigestOf(raw)
	a.manifests[r] = manifest
	st, err := p.Statement(manifest)
	s := a.Sign(by, st, err)
	s.Objects = objects
	return s
}

// Withdraw signs the withdrawal of what was published last under ref, and
// makes it the head of its name.
func (a *Author) Withdraw(ref string) Signed {
	a.tb.Helper()
	s := a.DraftWithdrawal(a.Space.Publisher, ref, nil)
	a.heads[headOf(ref)] = s.ID()
	return s
}

// DraftWithdrawal signs a withdrawal, changed by change, and moves no head.
func (a *Author) DraftWithdrawal(by *signing.Signer, ref string, change func(*feed.Withdrawal)) Signed {
	a.tb.Helper()
	r := ParseRef(ref)
	w := feed.Withdrawal{Epoch: a.Epoch, Feed: a.ID, Kind: r.Kind, Lineage: a.Space.Lineage(), Name: r.Name,
		Previous: a.head(ref), Reason: "withdrawn by a test", Time: "2026-02-03T04:05:06Z", Version: r.Version}
	if change != nil {
		change(&w)
	}
	st, err := w.Statement(a.manifests[r])
	return a.Sign(by, st, err)
}

// Unknown signs a statement of a kind that this version does not know, with a
// number that makes it another statement than the next.
func (a *Author) Unknown(kind signing.Kind, critical bool, number int) Signed {
	a.tb.Helper()
	predicate, err := signing.MarshalCanonical(struct {
		trust.Bound
		Number int `json:"number"`
	}{trust.Bound{Critical: critical, Epoch: a.Epoch, Feed: a.ID.String(), Lineage: a.Space.Lineage()}, number})
	st := signing.Statement{Kind: kind, Subject: storage.DigestOf(predicate), SubjectName: "something new", Predicate: predicate}
	return a.Sign(a.Space.Publisher, st, err)
}

// Sign signs a statement, or fails the test with err.
func (a *Author) Sign(by *signing.Signer, st signing.Statement, err error) Signed {
	a.tb.Helper()
	check(a.tb, err)
	return Signed{Attestation: trusttest.Sign(a.tb, by, st)}
}

func (a *Author) head(ref string) *signing.ID {
	if id, ok := a.heads[headOf(ref)]; ok {
		return &id
	}
	return nil
}

func headOf(ref string) string {
	r := ParseRef(ref)
	return r.Kind + "/" + r.Name
}

// Holdings signs holdings of that time which know the feed alone, at a
// checkpoint.
func (a *Author) Holdings(time string, seen feed.Checkpoint) Signed {
	return a.Snapshot(a.Space.Publisher, time, seen, nil)
}

// Snapshot is Holdings by any key, with a snapshot whose pages are objects.
func (a *Author) Snapshot(by *signing.Signer, time string, seen feed.Checkpoint, s *feed.Snapshot, pages ...[]byte) Signed {
	a.tb.Helper()
	account := feed.NewAccount(a.Space.Name, a.Space.Lineage(), time,
		[]feed.FeedAccount{{Epoch: a.Epoch, Feed: a.ID, Lineage: a.Space.Lineage(), Note: string(seen.Note)}})
	document, err := account.Format()
	check(a.tb, err)
	h := feed.Holdings{DocumentSize: int64(len(document)), Epoch: a.Epoch, Feed: a.ID, Lineage: a.Space.Lineage(), Snapshot: s, Time: time}
	st, err := h.Statement(storage.DigestOf(document))
	out := a.Sign(by, st, err)
	out.Objects = append([][]byte{document}, pages...)
	return out
}
