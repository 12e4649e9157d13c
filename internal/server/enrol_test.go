package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"airlock/feed/feedhttp"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/storage/storetest"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// lobby is a server on which Spaces enrol, with what it wrote down.
type lobby struct {
	*world
	audit bytes.Buffer
	pin   storage.Digest
}

func newLobby(t *testing.T) *lobby {
	t.Helper()
	l := &lobby{world: newWorld(t, storage.NewMem()), pin: storage.DigestOf([]byte("the server's key"))}
	l.srv = l.server(server.Config{Audit: slog.New(slog.NewJSONHandler(&l.audit, nil))})
	return l
}

func (l *lobby) invite(in server.Invite) trust.Invitation {
	l.t.Helper()
	in.Pin, in.Until = l.pin, l.clock.Now().Add(time.Hour)
	code, err := l.srv.Invite(context.Background(), server.Operator, in)
	if err != nil {
		l.t.Fatal(err)
	}
	return code
}

// asks is the request of a Space, its proof made by a signer and changed by change.
func (l *lobby) asks(s *trusttest.Space, code trust.Invitation, by *signing.Signer, change func(*trust.Enrolment)) feedhttp.JoinRequest {
	l.t.Helper()
	e := trust.NewEnrolment(s.History(), code, l.Key.Public(), l.clock.Now())
	if change != nil {
		change(&e)
	}
	st, err := e.Statement(s.History())
	if err != nil {
		l.t.Fatal(err)
	}
	return feedhttp.JoinRequest{Identity: s.File(), Invitation: code.Text(), Proof: trusttest.Sign(l.t, by, st).Bytes()}
}

func (l *lobby) join(s *trusttest.Space, code trust.Invitation) (feedhttp.Admission, error) {
	return l.srv.Enrol(context.Background(), feedhttp.Caller{Address: "192.0.2.7:1"}, l.asks(s, code, s.Publisher, nil))
}

func (l *lobby) decide(code trust.Invitation, confirm bool) error {
	return l.srv.Decide(context.Background(), server.Operator, code.ID(), confirm)
}

// A Space with a code asks, waits, asks again, and is admitted; nobody else is with
// that code, whichever server they ask.
func TestEnrol(t *testing.T) {
	ctx := t.Context()
	l := newLobby(t)
	space, twin := trusttest.New(t, "acme/production"), trusttest.New(t, "acme/production")
	code := l.invite(server.Invite{Space: space.Name, Group: "live"})
	got, err := l.join(space, code)
	if err != nil || got != (feedhttp.Admission{Lineage: space.Lineage(), Space: "acme/production", State: feedhttp.Pending}) {
		t.Fatalf("%+v, %v", got, err)
	}
	if got, err = l.join(space, code); err != nil || got.State != feedhttp.Pending {
		t.Errorf("asked again: %+v, %v", got, err)
	}
	all, err := l.srv.Enrolments(ctx, server.Operator)
	if err != nil || len(all) != 1 || all[0].State() != feedhttp.Pending || all[0].History.Lineage() != space.Lineage() || all[0].Address != "192.0.2.7:1" || !all[0].Asked.Equal(l.clock.Now()) {
		t.Errorf("waiting: %+v, %v", all, err)
	}
	other := l.server(server.Config{})
	if _, err := other.Enrol(ctx, feedhttp.Caller{}, l.asks(twin, code, twin.Publisher, nil)); err == nil || !strings.Contains(err.Error(), "used already, by another Space") {
		t.Errorf("its twin: %v", err)
	}
	l.clock.add(2 * time.Hour) // who asked in time may be confirmed later
	if err := l.decide(code, true); err != nil {
		t.Fatal(err)
	}
	if err := l.decide(code, true); err != nil {
		t.Errorf("confirmed again: %v", err)
	}
	wantDenied(t, l.decide(code, false), trust.RuleInvitation)
	if got, err = l.join(space, code); err != nil || got.State != feedhttp.Admitted {
		t.Errorf("admitted: %+v, %v", got, err)
	}
	if all, err := l.srv.Enrolments(ctx, server.Operator); err != nil || len(all) != 0 {
		t.Errorf("still waiting: %+v, %v", all, err)
	}
	if groups, err := l.srv.Groups(ctx, server.Operator); err != nil || len(groups["live"]) != 1 || groups["live"][0] != space.Name {
		t.Errorf("groups: %v, %v", groups, err)
	}
	spaces, err := l.srv.Spaces(ctx)
	if err != nil || len(spaces) != 2 || spaces[1].Lineage() != space.Lineage() {
		t.Errorf("admitted: %v, %v", spaces, err)
	}
	if log := l.audit.String(); strings.Contains(log, code.Text()[12:]) || strings.Contains(log, code.ID().Hex()) || !strings.Contains(log, code.String()) {
		t.Errorf("the audit log shows a code, or does not name it:\n%s", log)
	}
}

// Each wrong request is refused in its own words, and leaves the code as it was.
func TestJoinRefuses(t *testing.T) {
	l := newLobby(t)
	space, twin := trusttest.New(t, "acme/production"), trusttest.New(t, "acme/dev-qa")
	ended := l.invite(server.Invite{})
	rejected := l.invite(server.Invite{})
	if _, err := l.join(space, rejected); err != nil {
		t.Fatal(err)
	}
	if err := l.decide(rejected, false); err != nil {
		t.Fatal(err)
	}
	l.clock.add(59 * time.Minute)
	code, bound := l.invite(server.Invite{}), l.invite(server.Invite{Space: trust.Space{Organisation: "acme", Name: "staging"}})
	l.clock.add(2 * time.Minute)
	old := func(e *trust.Enrolment) { e.Time = l.clock.Now().Add(-3 * time.Hour).Format(time.RFC3339) }
	for name, c := range map[string]struct {
		request    feedhttp.JoinRequest
		rule, want string
	}{
		"nobody invited":   {l.asks(space, trust.NewInvitation(l.pin), space.Publisher, nil), trust.RuleInvitation, "nobody was invited here with this code"},
		"ended":            {l.asks(space, ended, space.Publisher, nil), trust.RuleInvitation, "ended on 2026-"},
		"for another name": {l.asks(space, bound, space.Publisher, nil), trust.RuleInvitation, "is for acme/staging, not for acme/production"},
		"rejected":         {l.asks(space, rejected, space.Publisher, nil), trust.RuleInvitation, "the administrator rejected the request"},
		"another lineage":  {l.asks(twin, code, twin.Publisher, nil), "lineage", "the name is admitted for lineage"},
		"another key":      {l.asks(space, code, twin.Publisher, nil), trust.RuleEnrolment, "is not signed by a publisher"},
		"replayed":         {l.asks(space, code, space.Publisher, old), trust.RuleEnrolment, "was made at"},
		"of another code": {l.asks(space, code, space.Publisher, func(e *trust.Enrolment) { e.Invitation = ended.ID() }),
			trust.RuleEnrolment, "was made for " + ended.String()},
		"of another server": {l.asks(space, code, space.Publisher, func(e *trust.Enrolment) { e.Pin = storage.DigestOf(nil) }),
			trust.RuleEnrolment, "was made for a server with key"},
		"of another operator": {l.asks(space, code, space.Publisher, func(e *trust.Enrolment) { e.LogKey = make([]byte, 32) }),
			trust.RuleEnrolment, "another operator"},
	} {
		_, err := l.srv.Enrol(t.Context(), feedhttp.Caller{}, c.request)
		if d, ok := errors.AsType[*trust.DeniedError](err); !ok || d.Rule != c.rule || !strings.Contains(d.Why, c.want) {
			t.Errorf("%s: %v, want %q by rule %s", name, err, c.want, c.rule)
		}
	}
	good := l.asks(space, code, space.Publisher, nil)
	for name, change := range map[string]func(*feedhttp.JoinRequest){
		"no code":     func(r *feedhttp.JoinRequest) { r.Invitation = "airlock-1-x" },
		"no identity": func(r *feedhttp.JoinRequest) { r.Identity = []byte("x") },
		"no proof":    func(r *feedhttp.JoinRequest) { r.Proof = []byte("{}") },
	} {
		r := good
		change(&r)
		if _, err := l.srv.Enrol(t.Context(), feedhttp.Caller{}, r); !isRequestError(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := l.join(space, code); err != nil || got.State != feedhttp.Pending {
		t.Errorf("the code is used up: %+v, %v", got, err)
	}
	wantDenied(t, l.decide(ended, true), trust.RuleInvitation) // nobody asked with it
}

func isRequestError(err error) bool {
	_, ok := errors.AsType[*feedhttp.RequestError](err)
	return ok
}

// Of two who ask under one name, with a code each, one is admitted.
func TestTwoOfOneName(t *testing.T) {
	l := newLobby(t)
	space, twin := trusttest.New(t, "acme/production"), trusttest.New(t, "acme/production")
	first, second := l.invite(server.Invite{}), l.invite(server.Invite{})
	for s, code := range map[*trusttest.Space]trust.Invitation{space: first, twin: second} {
		if _, err := l.join(s, code); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.decide(first, true); err != nil {
		t.Fatal(err)
	}
	wantDenied(t, l.decide(second, true), "lineage")
	if err := l.decide(second, false); err != nil {
		t.Errorf("rejecting it: %v", err)
	}
	if _, err := l.srv.Invite(t.Context(), server.Operator, server.Invite{Group: "-"}); !isRequestError(err) {
		t.Errorf("a group that cannot be: %v", err)
	}
}

// Only an administrator invites and decides.
func TestEnrolAdministrators(t *testing.T) {
	l := newLobby(t)
	caller := feedhttp.Caller{Role: feedhttp.Enrolled, Space: l.ID.Space}
	_, invite := l.srv.Invite(t.Context(), caller, server.Invite{})
	_, list := l.srv.Enrolments(t.Context(), caller)
	for _, err := range []error{invite, list, l.srv.Decide(t.Context(), caller, storage.Digest{}, true), l.srv.Decide(t.Context(), caller, storage.Digest{}, false)} {
		wantDenied(t, err, server.RuleCaller)
	}
	for _, operation := range []string{"invite", "confirm", "reject"} {
		if want := fmt.Sprintf(`"msg":"refused","operation":%q,"thing":"invitation `, operation); strings.Count(l.audit.String(), want) != 1 {
			t.Errorf("no audit line with %s:\n%s", want, l.audit.String())
		}
	}
}

// What the store does not take is refused in one audit line, and so is a decision
// where the one that stands cannot be read.
func TestEnrolStoreFails(t *testing.T) {
	l := newLobby(t)
	space := trusttest.New(t, "acme/production")
	code := l.invite(server.Invite{})
	fails, later := "", 0 // what fails, after so many that pass
	l.store = storetest.WithFaults(l.store, func(c storetest.Call) storetest.Fault {
		if c.Port == "files" && fails != "" && c.Op+strings.TrimPrefix(c.Key, "enrolment/"+code.ID().Hex()) == fails {
			if later--; later < 0 {
				return storetest.Fault{Before: storetest.ErrServer}
			}
		}
		return storetest.Fault{}
	})
	l.srv = l.server(server.Config{Audit: slog.New(slog.NewJSONHandler(&l.audit, nil))})
	l.audit.Reset()
	fails = "Create/request"
	if _, err := l.join(space, code); !errors.Is(err, storetest.ErrServer) || strings.Count(l.audit.String(), `"operation":"join"`) != 1 {
		t.Errorf("%v, and the audit log is\n%s", err, l.audit.String())
	}
	fails = ""
	if _, err := l.join(space, code); err != nil {
		t.Fatal(err)
	}
	if err := l.decide(code, false); err != nil {
		t.Fatal(err)
	}
	fails, later = "Get/decision", 1
	if err := l.decide(code, true); !errors.Is(err, storetest.ErrServer) {
		t.Errorf("got %v", err)
	}
}

// Over HTTP it is the same, and a refusal keeps its rule.
func TestJoinOverHTTP(t *testing.T) {
	l := newLobby(t)
	c := client(t, l.srv)
	space := trusttest.New(t, "acme/production")
	code := l.invite(server.Invite{})
	if got, err := c.Join(t.Context(), l.asks(space, code, space.Publisher, nil)); err != nil || got.State != feedhttp.Pending || got.Lineage != space.Lineage() {
		t.Errorf("%+v, %v", got, err)
	}
	_, err := c.Join(t.Context(), l.asks(space, trust.NewInvitation(l.pin), space.Publisher, nil))
	wantDenied(t, err, trust.RuleInvitation)
	if err := l.decide(code, true); err != nil {
		t.Fatal(err)
	}
	space.Next(func(*trust.Identity) {})
	if version, err := c.Tell(t.Context(), space.File()); err != nil || version != 2 {
		t.Errorf("told version %d, %v", version, err)
	}
}
