package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"airlock/bundle"
	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// receiver is a Space that gives receipts of what is pushed.
type receiver struct {
	*feedtest.Author // of its receipts feed
	w                *world
	number           int64
	last             *signing.ID
}

func (w *world) receipts() *receiver {
	return &receiver{Author: feedtest.AuthorOf(w.t, feedtest.NewAuthor(w.t, "acme/production/shared").Space, receipts.Feed), w: w}
}

// receipt makes the next receipt of an entry of a slice; change makes it another one.
func (r *receiver) receipt(s bundle.Slice, of feedtest.Signed, o receipts.Outcome, change func(*receipts.Receipt)) feedtest.Signed {
	r.w.t.Helper()
	st, err := signing.ParseStatement(of.Payload())
	if err != nil {
		r.w.t.Error(err) // in the inbox's goroutine
		return of
	}
	e, err := feed.ParseEntry(of.ID(), st)
	if err != nil {
		r.w.t.Error(err)
		return of
	}
	r.number++
	said := receipts.Receipt{By: "bob", Checkpoint: s.Note, Epoch: 1, Feed: r.ID, Instance: strings.Repeat("ab", 16), Lineage: r.Space.Lineage(), Manifest: st.Subject,
		Number: r.number, Outcome: o, Previous: r.last, Time: "2026-02-03T04:05:06Z",
		Publication: receipts.Publication{Epoch: s.Epoch, Feed: s.Feed, Kind: e.Ref.Kind, Lineage: s.Lineage, Name: e.Ref.Name, Statement: of.ID(), Version: e.Ref.Version}}
	if o == receipts.Rejected {
		said.Reason = "the policy keeps it out"
	}
	if change != nil {
		change(&said)
	}
	st, err = said.Statement()
	signed := r.Sign(r.Space.Publisher, st, err)
	id := signed.ID()
	r.last = &id
	return signed
}

// format is what the answer carries.
func (r *receiver) format(statements ...feedtest.Signed) []byte {
	raw, err := feedhttp.FormatBatch(batch(r.ID, statements...), feedhttp.MaxBatch)
	if err != nil {
		r.w.t.Error(err)
	}
	return raw
}

// size is how many entries the receipts feed has.
func (r *receiver) size() int64 {
	c, err := r.w.srv.Head(r.w.t.Context(), server.Operator, r.ID, 0)
	if err != nil {
		return 0
	}
	return c.Size
}

// What the answers to pushes say is taken in as if the Space had sent it: the first
// opens the feed, what is there already does no harm, and so does an opening that
// names a later identity than the feed was opened under.
func TestPushReceipts(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	a, b, c := w.Publish("file/a@1"), w.Publish("file/b@1"), w.Publish("file/c@1")
	w.mustSend(append(w.Opening(), a, b)...)
	r, in := w.receipts(), w.inbox()
	opening := r.Opening()
	in.said = func(s bundle.Slice) []byte {
		return r.format(append(opening, r.receipt(s, a, receipts.Applied, nil), r.receipt(s, b, receipts.Rejected, nil))...)
	}
	w.pushing(nil)
	w.pushTo(r.Author, in.http.URL, "acme/*/shared")
	w.comes("the first receipts", func() bool { p := w.push(); return p.Receipts != nil })
	if got := w.push(); got.State != server.Pushed || got.Receipts.Problem != "" || fmt.Sprint(got.Receipts.Outcomes) != "map[applied:1 rejected:1]" || got.Receipts.Feed != w.ID {
		t.Errorf("%+v", got.Receipts)
	}
	if want := int64(len(opening) + 2); r.size() != want {
		t.Errorf("%d entries, want %d", r.size(), want)
	}
	in.do(func() {
		r.Space.Next(func(*trust.Identity) {})
		later := r.Opening()
		in.said = func(s bundle.Slice) []byte {
			again := r.receipt(s, c, receipts.Failed, func(said *receipts.Receipt) { said.Reason = "no such host" })
			if _, err := w.srv.Publish(t.Context(), server.Operator, batch(r.ID, again)); err != nil { // by itself, too
				t.Error(err)
			}
			return r.format(append(later, again)...)
		}
	})
	w.mustSend(c)
	w.comes("the next", func() bool { p := w.push(); return p.Receipts != nil && p.Receipts.Outcomes[receipts.Applied] == 0 })
	if got := w.push().Receipts; got.Outcomes[receipts.Failed] != 1 {
		t.Errorf("%+v", got)
	}
	if want := int64(len(opening) + 2 + 1 + 1); r.size() != want { // and the new identity
		t.Errorf("%d entries, want %d", r.size(), want)
	}
}

// What is no receipt of what was pushed, by that Space, is refused whole and shown;
// the push itself counts.
func TestPushReceiptsRefused(t *testing.T) {
	for want, said := range map[string]func(*world, *receiver, bundle.Slice, feedtest.Signed) []byte{
		"want \"airlock-batch 1": func(*world, *receiver, bundle.Slice, feedtest.Signed) []byte { return []byte("receipts") },
		"batch of receipts is larger than the 4194304": func(*world, *receiver, bundle.Slice, feedtest.Signed) []byte {
			return make([]byte, feedhttp.MaxPushReceipts+1)
		},
		"has no receipt": func(_ *world, r *receiver, _ bundle.Slice, _ feedtest.Signed) []byte { return r.format(r.Opening()...) },
		"statement 3 is of kind publication": func(_ *world, r *receiver, s bundle.Slice, of feedtest.Signed) []byte {
			return r.format(append(r.Opening(), r.receipt(s, of, receipts.Applied, nil), r.Publish("file/x@1"))...)
		},
		"not among those of feed acme/dev-qa/shared which were pushed, 2 to 2": func(w *world, r *receiver, s bundle.Slice, _ feedtest.Signed) []byte {
			return r.format(append(r.Opening(), r.receipt(s, w.Opening()[0], receipts.Applied, func(said *receipts.Receipt) {
				said.Publication.Kind, said.Publication.Name, said.Publication.Version = "file", "a", "1"
			}))...)
		},
		"is about feed acme/dev-qa/other": func(_ *world, r *receiver, s bundle.Slice, of feedtest.Signed) []byte {
			return r.format(append(r.Opening(), r.receipt(s, of, receipts.Applied, func(said *receipts.Receipt) {
				said.Publication.Feed.Name = "other"
				c, err := r.Key.Sign(said.Publication.Feed.Origin(1), 1, feed.Edge{}.Root())
				said.Checkpoint = string(c.Note)
				if err != nil {
					r.w.t.Error(err)
				}
			}))...)
		},
		"rule binding": func(_ *world, r *receiver, s bundle.Slice, of feedtest.Signed) []byte {
			return r.format(append(r.Opening(), r.receipt(s, of, receipts.Applied, func(said *receipts.Receipt) { said.Feed.Space.Name = "staging" }))...)
		},
		"is signed by": func(w *world, r *receiver, s bundle.Slice, of feedtest.Signed) []byte {
			opening := r.Opening()
			r.Space.Publisher = w.Space.Publisher
			return r.format(append(opening, r.receipt(s, of, receipts.Applied, nil))...)
		},
	} {
		w := newWorld(t, storage.NewMem())
		w.mustSend(w.Opening()...)
		r, in := w.receipts(), w.inbox()
		w.pushing(nil)
		w.pushTo(r.Author, in.http.URL, "acme/*/shared")
		w.comes("what opens the feed", func() bool { return w.push().Taken[w.ID].Size == w.size() })
		of := w.Publish("file/a@1")
		in.do(func() { in.said = func(s bundle.Slice) []byte { return said(w, r, s, of) } })
		w.mustSend(of)
		w.comes(want, func() bool { p := w.push(); return p.Receipts != nil && strings.Contains(p.Receipts.Problem, want) })
		if got := w.push(); got.State != server.Pushed || len(got.Receipts.Outcomes) > 0 || got.Taken[w.ID].Size != w.size() || r.size() > 0 {
			t.Errorf("%s: %+v, %+v; %d entries", want, got, got.Receipts, r.size())
		}
	}
}

// An inbox is brought the receipts feed of its Space before it is asked for receipts,
// whatever feeds the push names, and what it lacks of it where it says so. Where that
// cannot be brought, what is pushed comes without receipts.
func TestPushReceiptsFirst(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	r, in := w.receipts(), w.inbox()
	publish := func(name string) {
		of := w.Publish(name)
		in.do(func() {
			in.said = func(s bundle.Slice) []byte {
				return r.format(append(r.Opening(), r.receipt(s, of, receipts.Applied, nil))...)
			}
			in.slices, in.asked = nil, nil
		})
		w.mustSend(of)
	}
	shown := func() (out []string) {
		in.do(func() {
			for i, s := range in.slices {
				out = append(out, fmt.Sprintf("%s %d-%d, %s %d", s.Feed.Name, s.From, s.To, in.asked[i].Wait, in.asked[i].Known))
			}
		})
		return out
	}
	taken := func(name string, receipts int64) {
		t.Helper()
		w.comes(name, func() bool { p := w.push(); return p.Taken[w.ID].Size == w.size() && p.Taken[r.ID].Size == receipts })
	}
	w.mustSend(w.Opening()...)
	w.pushing(nil)
	w.pushTo(r.Author, in.http.URL, "acme/*/shared")
	w.comes("what opens the feed", func() bool { return w.push().Taken[w.ID].Size == w.size() })
	publish("file/a@1")
	taken("the first receipt", 3)
	if got, want := shown(), []string{"shared 2-3, 5s 0", "receipts 0-3, 0s 0"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}

	in.do(func() {
		delete(in.has, r.ID)
		in.behind = func(asked feedhttp.PushReceipts) *feedhttp.Taken {
			if has := in.has[r.ID]; has.Size < asked.Known {
				return &has
			}
			return nil
		}
	})
	publish("file/b@1")
	taken("the second", 4)
	if got, want := shown(), []string{"shared 3-4, 5s 3", "receipts 0-3, 0s 0", "shared 3-4, 5s 3", "receipts 3-4, 0s 0"}; !slices.Equal(got, want) {
		t.Errorf("put back: %q, want %q", got, want)
	}

	in.do(func() { delete(in.has, r.ID); in.without = map[feed.ID]error{r.ID: feedhttp.ErrBusy} })
	publish("file/c@1")
	w.comes("the third", func() bool { return w.push().Taken[w.ID].Size == w.size() && w.push().State == server.Retrying })
	if got, want := shown()[:3], []string{"shared 4-5, 5s 4", "receipts 0-4, 0s 0", "shared 4-5, 0s 0"}; !slices.Equal(got, want) || r.size() != 4 {
		t.Errorf("without its receipts feed: %q, want %q", got, want)
	}
}

// An inbox that says each time that it is behind with its receipts feed, and takes
// that and no other, ends in a problem.
func TestPushReceiptsAlwaysBehind(t *testing.T) {
	w := newWorld(t, storage.NewMem())
	r, in := w.receipts(), w.inbox()
	in.behind = func(asked feedhttp.PushReceipts) *feedhttp.Taken {
		if asked.Wait == 0 {
			return nil
		}
		return &feedhttp.Taken{}
	}
	w.mustSend(w.Opening()...)
	w.pushing(nil)
	w.pushTo(r.Author, in.http.URL, "acme/*/shared")
	w.comes("a problem", func() bool { return strings.Contains(w.push().Problem, "each time that it has something else") })
}
