package server_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/feedtest"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/trust"
)

// head asks for the checkpoint of the world's feed.
func (w *world) head(s *server.Server, c feedhttp.Caller) error {
	_, err := s.Head(w.t.Context(), c, w.ID, 0)
	return err
}

// TestAudience: who is named, by name or group, reads, on every server; others do
// not, and who is no longer named does not any more.
func TestAudience(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, storage.NewMem())
	w.mustSend(w.Opening()...)
	other := w.closed()
	prod, audit := feedtest.NewAuthor(t, "acme/production/shared"), feedtest.NewAuthor(t, "acme/audit/shared")
	w.admit(prod)
	w.admit(audit)
	enrolled := func(a *feedtest.Author) feedhttp.Caller {
		return feedhttp.Caller{Role: feedhttp.Enrolled, Space: a.ID.Space}
	}
	check := func(why string, prodReads, auditReads, nobodyReads bool) {
		t.Helper()
		w.clock.add(time.Second)
		for _, c := range []struct {
			who    feedhttp.Caller
			server *server.Server
			reads  bool
		}{
			{enrolled(prod), w.srv, prodReads}, {enrolled(prod), other, prodReads},
			{enrolled(audit), w.srv, auditReads}, {enrolled(audit), other, auditReads},
			{enrolled(w.Author), other, true}, {server.Operator, other, true},
			{feedhttp.Caller{}, w.srv, nobodyReads}, // which is open
		} {
			err := w.head(c.server, c.who)
			if c.reads && err != nil || !c.reads && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s: %v", why, c.who, err)
			}
			feeds, err := c.server.Feeds(ctx, c.who, nil)
			if err != nil || slices.Contains(feeds, w.ID) != c.reads {
				t.Errorf("%s: %s: lists %v, %v", why, c.who, feeds, err)
			}
		}
	}
	set := func(names ...string) {
		t.Helper()
		a, err := feedhttp.NewAudience(names)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.srv.SetAudience(ctx, enrolled(w.Author), w.ID, a); err != nil {
			t.Fatal(err)
		}
		if got, err := w.srv.Audience(ctx, enrolled(w.Author), w.ID); err != nil || !got.Equal(a) {
			t.Errorf("audience %+v, %v", got, err)
		}
	}
	group := func(in bool) {
		t.Helper()
		if err := w.srv.SetGroup(ctx, server.Operator, "live", prod.ID.Space, in); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.srv.SetGroup(ctx, server.Operator, "other", prod.ID.Space, true); err != nil {
		t.Fatal(err)
	}
	check("nothing said", true, true, true)
	set("acme/production")
	check("to one", true, false, false)
	set("@live", "acme/audit")
	check("to a group without members", false, true, false)
	group(true)
	check("to a group", true, true, false)
	if groups, err := w.srv.Groups(ctx, server.Operator); err != nil || len(groups) != 2 || !slices.Equal(groups["live"], []trust.Space{prod.ID.Space}) {
		t.Errorf("groups %v, %v", groups, err)
	}
	group(false)
	check("out of the group", false, true, false)
	set()
	check("to nobody", false, false, false)
	bound := func(names ...string) {
		t.Helper()
		a, err := feedhttp.NewAudience(names)
		if len(names) == 0 {
			a.All = true
		}
		if err = errors.Join(err, w.srv.SetAudience(ctx, server.Operator, w.ID, a)); err != nil {
			t.Fatal(err)
		}
	}
	bound("acme/production")
	check("to nobody, and the operator says one", false, false, false)
	set("acme/production", "acme/audit")
	check("to two, of whom the operator says one", true, false, false)
	set("@live", "acme/audit")
	check("to none of those whom the operator says", false, false, false)
	if err := w.srv.SetAudience(ctx, enrolled(w.Author), w.ID, feedhttp.Audience{All: true}); err != nil {
		t.Fatal(err)
	}
	check("the Space says all, and the operator one", true, false, false)
	bound()
	check("the operator says all again", true, true, true)
	bound("acme/audit")
	check("the operator alone says one", false, true, false)
	if err := w.srv.ResetAudience(ctx, enrolled(w.Author), w.ID); err == nil {
		t.Error("a Space took back what the operator said")
	}
	if err := w.srv.ResetAudience(ctx, server.Operator, w.ID); err != nil {
		t.Fatal(err)
	}
	check("the operator took it back", true, true, true)
	value, _, err := w.store.Cells.Load(ctx, "access/56")
	if err != nil || strings.Contains(string(value), "dev-qa") {
		t.Errorf("what is as without a word is kept: %s, %v", value, err)
	}
}

// TestAudiencePreview: what somebody's word would make of who reads a feed is what it
// makes of it, whoever says it and whatever was said before.
func TestAudiencePreview(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, storage.NewMem())
	owner := feedhttp.Caller{Role: feedhttp.Enrolled, Space: w.ID.Space}
	administrator := feedhttp.Caller{Role: feedhttp.Administrator, Address: "192.0.2.1"}
	one, two := &feedhttp.Audience{Spaces: []string{"acme/one"}}, &feedhttp.Audience{Groups: []string{"two"}}
	all, none := &feedhttp.Audience{All: true}, &feedhttp.Audience{}
	for _, name := range []string{"shared", "receipts"} {
		id := feed.ID{Space: w.ID.Space, Name: name}
		for n, say := range []struct {
			who  feedhttp.Caller
			said *feedhttp.Audience // nil takes back what administrators said
		}{
			{administrator, one}, {administrator, all}, {owner, two}, {administrator, one}, {owner, all}, {owner, none},
			{administrator, two}, {owner, one}, {administrator, all}, {administrator, none}, {administrator, nil}, {owner, all},
		} {
			now, err := w.srv.Audience(ctx, say.who, id)
			if err != nil {
				t.Fatal(err)
			}
			would := now.With(id, say.said)
			if say.said == nil {
				err = w.srv.ResetAudience(ctx, say.who, id)
			} else {
				err = w.srv.SetAudience(ctx, say.who, id, *say.said)
			}
			if err != nil {
				t.Fatal(err)
			}
			is, err := w.srv.Audience(ctx, say.who, id)
			if err != nil || !would.Equal(is.Audience) || !reflect.DeepEqual(would.Bound, is.Bound) || would.Operator != is.Operator {
				t.Errorf("%s, word %d: would be %+v, and is %+v; %v", id, n, would, is, err)
			}
		}
	}
}

// TestAudienceRefused: who may not say who reads, and what may not be said.
func TestAudienceRefused(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, storage.NewMem())
	var log bytes.Buffer
	w.srv = w.server(server.Config{Audit: slog.New(slog.NewJSONHandler(&log, nil))})
	w.mustSend(w.Opening()...)
	owner := feedhttp.Caller{Role: feedhttp.Enrolled, Space: w.ID.Space}
	stranger := feedhttp.Caller{Role: feedhttp.Enrolled, Space: trust.Space{Organisation: "acme", Name: "other"}}
	all := feedhttp.Audience{All: true}
	wantDenied(t, w.srv.SetAudience(ctx, stranger, w.ID, all), server.RuleCaller)
	wantDenied(t, w.srv.SetAudience(ctx, feedhttp.Caller{Role: feedhttp.Peer}, w.ID, all), server.RuleCaller)
	if err := w.srv.SetAudience(ctx, owner, w.ID, feedhttp.Audience{}); err != nil {
		t.Fatal(err)
	}
	_, err := w.srv.Audience(ctx, stranger, w.ID)
	wantDenied(t, err, server.RuleCaller)
	if _, err := w.srv.Audience(ctx, feedhttp.Caller{}, w.ID); !errors.Is(err, feedhttp.ErrUnauthorized) {
		t.Errorf("by nobody: %v", err)
	}
	if err := w.srv.SetAudience(ctx, owner, w.ID, feedhttp.Audience{All: true, Spaces: []string{"acme/x"}}); !errors.As(err, new(*feedhttp.RequestError)) {
		t.Errorf("all, and one more: %v", err)
	}
	never := w.ID
	never.Space.Name = "never"
	wantDenied(t, w.srv.SetAudience(ctx, server.Operator, never, feedhttp.Audience{}), server.RuleAdmission)
	wantDenied(t, w.srv.SetGroup(ctx, server.Operator, "live", never.Space, true), server.RuleAdmission)
	wantDenied(t, w.srv.SetGroup(ctx, owner, "live", w.ID.Space, true), server.RuleCaller)
	if err := w.srv.SetGroup(ctx, server.Operator, "Live", w.ID.Space, true); err == nil {
		t.Error("a group that is no label")
	}
	_, err = w.srv.Groups(ctx, owner)
	wantDenied(t, err, server.RuleCaller)
	for _, line := range []string{`"msg":"done","operation":"audience","thing":"acme/dev-qa/shared","caller":"acme/dev-qa"`, `"msg":"refused","operation":"audience","thing":"acme/dev-qa/shared","caller":"acme/other"`, `"operation":"group add","thing":"acme/dev-qa"`} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the audit log lacks %s:\n%s", line, log.String())
		}
	}
}

// TestWaitingHides: who waits on a feed that it may not read any more hears
// nothing of it.
func TestWaitingHides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, storage.NewMem())
		w.mustSend(w.Opening()...)
		time.Sleep(time.Until(w.clock.Now())) // when certificates are valid
		w.srv = w.start(server.Config{Now: time.Now, Watch: true})
		prod := feedtest.NewAuthor(t, "acme/production/shared")
		w.admit(prod)
		_, text := w.token(prod.ID.Space)
		h := handlerOf(t, w.srv)
		said := make(chan string)
		begin := time.Now()
		go func() { said <- heads(h, `{"known":{"acme/dev-qa/shared":2},"wait":55}`, text).Body.String() }()
		time.Sleep(10 * time.Second)
		if err := w.srv.SetAudience(t.Context(), server.Operator, w.ID, feedhttp.Audience{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		w.mustSend(w.Publish("file/a@1"))
		if got := <-said; got != "{\"heads\":{}}\n" || time.Since(begin) != 55*time.Second {
			t.Errorf("%s after %s", got, time.Since(begin))
		}
		_ = w.srv.Close()
	})
}
