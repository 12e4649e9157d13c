package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"airlock/bundle"
	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/feed/log"
	"airlock/internal/home"
	"airlock/storage"
	"airlock/trust"
)

// inboxSite is an inbox of acme/production, and a feed that it trusts.
type inboxSite struct {
	*feedtest.World
	t     *testing.T
	in    *inbox
	fleet *fleet
}

func newInboxSite(t *testing.T) *inboxSite {
	s := &inboxSite{World: feedtest.New(t, storage.NewMem()), t: t}
	dir, now := t.TempDir(), func() time.Time { return feedtest.Now }
	file := filepath.Join(dir, "dev-qa.id")
	s.check(os.WriteFile(file, s.Space.File(), 0o600))
	none := streams{bytes.NewReader(nil), io.Discard, io.Discard}
	for _, args := range [][]string{
		{"init", "acme/production", "--plain-keys"},
		{"trust", "add", file, "--feed", "shared", "--thumbprint", s.Space.Lineage().String()},
	} {
		if code := run(t.Context(), append(args, "--home", filepath.Join(dir, "home")), none, func(string) string { return "" }, now); code != 0 {
			t.Fatalf("airlock %v: %d", args, code)
		}
	}
	h, err := home.Open(filepath.Join(dir, "home"))
	s.check(err)
	s.check(h.Remember(home.Server{LogKey: s.Key.Public(), Pin: storage.Digest{1}, URL: "https://feeds.acme.example"}))
	s.fleet = &fleet{app: &app{streams: none, commonFlags: commonFlags{quiet: true, homePath: h.Path()}, getenv: func(string) string { return "" }, now: now, open: h}, home: h}
	s.in, err = s.fleet.openInbox(t.Context())
	s.check(err)
	t.Cleanup(func() { s.check(s.in.close()) })
	return s
}

func (s *inboxSite) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// What is said of a push that was not taken is for who did not ask for it.
func TestPushedHint(t *testing.T) {
	for want, err := range map[string]error{
		"the server sends it again":       &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded},
		"tell the operator of the server": fmt.Errorf("stream: %w", bundle.ErrMalformed),
		"there is nothing of it":          &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, // no matter of the network
		"airlock trust show SPACE":        &trust.DeniedError{Reason: trust.Untrusted, Rule: "kind", Thing: "x", Why: "y"},
	} {
		if got := pushedHint(err); !strings.Contains(got, want) {
			t.Errorf("%v: %s", err, got)
		}
	}
	if got := pushedHint(fmt.Errorf("%w: %w", bundle.ErrMalformed, io.ErrUnexpectedEOF)); !strings.Contains(got, "sends it again") {
		t.Error(got)
	}
}

// stream writes what a source has from an entry on; change makes it another one.
func (s *inboxSite) stream(src feed.Source, from int64, key feed.LogKey, change func(*bundle.StreamHead)) []byte {
	s.t.Helper()
	c, err := src.Checkpoint(s.t.Context(), s.ID)
	s.check(err)
	slice := bundle.Slice{Epoch: 1, Feed: s.ID, From: from, Lineage: s.Space.Lineage(), Note: string(c.Note), To: c.Size}
	if from > 0 {
		slice.Base = &storage.Digest{1}
	}
	h := bundle.NewStreamHead(bundle.Party{Lineage: s.in.own, Space: "acme/production"}, slice)
	if change != nil {
		change(&h)
	}
	var out bytes.Buffer
	s.check(bundle.WriteStream(s.t.Context(), &out, h, key, src))
	return out.Bytes()
}

func (s *inboxSite) take(raw []byte) (feedhttp.Taken, error) {
	got, err := s.in.Take(s.t.Context(), feedhttp.Caller{}, bytes.NewReader(raw), feedhttp.PushReceipts{})
	return got.Taken, err
}

// What is pushed lies in the inbox once it is verified, however often and from
// where it comes; what does not go on from it is answered with what is there.
func TestInbox(t *testing.T) {
	s := newInboxSite(t)
	s.Publish("file/a@1", feedtest.Text("a.txt", "one"))
	first := s.stream(s.Source(), 0, s.Key, nil)
	for range 2 {
		if got, err := s.take(first); err != nil || got.Size != 3 || got.Epoch != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	s.Publish("file/a@2", feedtest.Text("a.txt", "two"))
	s.Publish("file/a@3", feedtest.Text("a.txt", "three"))
	if got, err := s.take(s.stream(s.Source(), 4, s.Key, nil)); err != nil || got.Size != 3 {
		t.Errorf("a gap: %+v, %v", got, err)
	}
	// What another way brought already is no rollback: what is pushed of it is taken
	// when all of it is.
	older := s.stream(s.Source(), 3, s.Key, nil)
	s.Publish("file/a@4", feedtest.Text("a.txt", "four"))
	_, _, _, err := s.in.sync(t.Context(), &conn{place: pulledPlace{s.Source()}, name: "elsewhere"}, s.ID)
	s.check(err)
	if got, err := s.take(older); err != nil || got.Size != 3 {
		t.Errorf("older than what was accepted: %+v, %v", got, err)
	}
	got, err := s.take(s.stream(s.Source(), 3, s.Key, nil))
	if err != nil || got.Size != 6 {
		t.Errorf("all of it: %+v, %v", got, err)
	}
	state, _, err := s.Follower(s.in.mirror.server.Local()).Sync(t.Context(), s.ID)
	if err != nil || storage.Digest(state.Edge.Root()) != got.Root {
		t.Errorf("the inbox has another feed than it says: %v", err)
	}
	if got, err := s.take(first); err != nil || got.Size != 6 {
		t.Errorf("an old one again: %+v, %v", got, err)
	}
	s.nothingLeft()
}

func (s *inboxSite) nothingLeft() {
	s.t.Helper()
	left, err := os.ReadDir(filepath.Join(s.in.home.Path(), "inbox.part"))
	if err != nil || len(left) > 0 {
		s.t.Errorf("left %v, %v", left, err)
	}
}

// pulledPlace is a source as a place.
type pulledPlace struct {
	*feedtest.Source
}

func (pulledPlace) Feeds(context.Context, ...trust.Space) ([]feed.ID, error) { return nil, nil }
func (pulledPlace) LogKey(context.Context) ([]byte, error)                   { return nil, errReadOnly }
func (pulledPlace) Publish(context.Context, feed.Batch) (feed.Accepted, error) {
	return feed.Accepted{}, errReadOnly
}
func (pulledPlace) Chunks(context.Context, feed.ID, storage.Digest) (*storage.ChunkIndex, error) {
	return nil, os.ErrNotExist
}
func (pulledPlace) Delta(context.Context, feed.ID, storage.Digest, storage.Digest) (storage.Ref, error) {
	return storage.Ref{}, os.ErrNotExist
}
func (p pulledPlace) Heads(ctx context.Context, known map[feed.ID]int64, _ time.Duration) (map[feed.ID]feed.Checkpoint, error) {
	return headsOf(ctx, p, known)
}

// What is not for this home, not of its operator, of nobody whom it trusts, or not
// what the log says is refused as other ends understand it, and nothing is kept.
func TestInboxRefuses(t *testing.T) {
	s := newInboxSite(t)
	s.Publish("file/a@1", feedtest.Text("a.txt", "one"))
	s.Publish("file/a@2", feedtest.Text("a.txt", "two"))
	forked := &feedtest.World{Author: s.Author, Store: storage.NewMem()}
	logs := log.New(log.Config{Store: forked.Store, Key: s.Key})
	defer logs.Close()
	forked.Log = logs.Feed(s.ID)
	other := feedtest.NewAuthor(t, "acme/dev-qa/shared")
	_, err := feedtest.Append(t.Context(), forked.Store, forked.Log, s.ID, append(other.Opening(), other.Publish("file/b@1"))...)
	s.check(err)
	stranger := feedtest.New(t, storage.NewMem())
	good := s.stream(s.Source(), 0, s.Key, nil)
	denied := func(rule string) func(error) bool {
		return func(err error) bool {
			d, ok := errors.AsType[*trust.DeniedError](err)
			return ok && d.Rule == rule
		}
	}
	for name, c := range map[string]struct {
		raw  []byte
		want func(error) bool
	}{
		"for another Space":   {s.stream(s.Source(), 0, s.Key, func(h *bundle.StreamHead) { h.Audience.Lineage = trust.Lineage{9} }), denied("allow")},
		"of another operator": {s.stream(s.Source(), 0, feedtest.Key(9), nil), denied(bundle.RuleOperator)},
		"of a stranger": {s.stream(stranger.Source(), 0, s.Key, func(h *bundle.StreamHead) {
			h.Slice.Feed.Space.Name = "nobody"
			c, err := s.Key.Sign(h.Slice.Feed.Origin(1), h.Slice.To, feed.Edge{}.Root())
			s.check(err)
			h.Slice.Note = string(c.Note)
		}), denied("allow")},
		"cut off":             {good[:len(good)-1], as[*feedhttp.RequestError]},
		"of another log":      {s.stream(forked.Source(), 0, s.Key, nil), denied("position")},
		"with another head":   {s.stream(&shortSource{s.Source()}, 0, s.Key, nil), as[*feedhttp.ConflictError]},
		"nothing of a stream": {[]byte("x"), as[*feedhttp.RequestError]},
	} {
		if got, err := s.take(c.raw); !c.want(err) || got.Size != 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := s.take(good); err != nil || got.Size != 4 {
		t.Errorf("%+v, %v", got, err)
	}
	s.nothingLeft()
}

// shortSource signs for other entries than it has.
type shortSource struct{ *feedtest.Source }

func (s *shortSource) Checkpoint(ctx context.Context, id feed.ID) (feed.Checkpoint, error) {
	c, err := s.Source.Checkpoint(ctx, id)
	if err != nil {
		return c, err
	}
	return feedtest.Key(1).Sign(c.Origin, c.Size, feed.Edge{}.Root())
}

// An agent that begins removes what another one left that was ended while it read.
func TestInboxClears(t *testing.T) {
	s := newInboxSite(t)
	f, err := s.in.home.CreatePushed()
	s.check(err)
	s.check(f.Close())
	again, err := s.fleet.openInbox(t.Context())
	s.check(err)
	s.check(again.close())
	if _, err := os.Stat(f.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
}
