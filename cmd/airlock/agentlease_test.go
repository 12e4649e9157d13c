package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/internal/agent"
	"airlock/internal/apply"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/storage"
	"airlock/trust"
)

// TestNoBoard: where there is none an agent works alone; what may be over in a
// moment is no reason to.
func TestNoBoard(t *testing.T) {
	for _, err := range []error{
		fmt.Errorf("host: %w", fs.ErrNotExist), feedhttp.ErrUnauthorized, fs.ErrPermission, syscall.EROFS,
		&trust.DeniedError{Rule: server.RuleAdmission, Thing: "acme/x", Why: "is not admitted here"}, &trust.DeniedError{Rule: server.RuleCaller},
	} {
		if noBoard(err) == "" {
			t.Errorf("%v: there is a board", err)
		}
	}
	for _, err := range []error{nil, feedhttp.ErrBusy, storage.ErrConflict, io.ErrUnexpectedEOF, context.DeadlineExceeded, storage.ErrNoSpace, &trust.DeniedError{Rule: "lineage"}} {
		if why := noBoard(err); why != "" {
			t.Errorf("%v: no board: %s", err, why)
		}
	}
}

// memBoard is a board in memory.
type memBoard struct {
	value []byte
	n     int
}

func (b *memBoard) Load(context.Context) ([]byte, string, error) {
	return b.value, fmt.Sprint(b.n), nil
}

func (b *memBoard) Swap(_ context.Context, tag string, value []byte) (string, error) {
	if tag != fmt.Sprint(b.n) {
		return "", storage.ErrConflict
	}
	b.n++
	b.value = value
	return fmt.Sprint(b.n), nil
}

// TestLearnOf: what another agent handed out is what the home has from then on; one
// that was shown less waits, and of what nobody spoke the home says what it has.
func TestLearnOf(t *testing.T) {
	ctx := t.Context()
	id, err := feed.ParseID("acme/dev-qa/shared")
	if err != nil {
		t.Fatal(err)
	}
	row := feed.Row{Index: 1, ID: [32]byte{1}, What: feed.IsPublication, Ref: feed.Ref{Kind: "file", Name: "a", Version: "1"}, Manifest: storage.DigestOf([]byte("a"))}
	x := feed.NewIndex()
	x.Add(feed.Row{What: feed.IsOther})
	x.Add(row)
	x.Add(feed.Row{Index: 2, ID: [32]byte{2}, What: feed.IsOther})
	mine := apply.Item{Ref: row.Ref, Index: 1, Statement: row.ID, Manifest: row.Manifest}
	for name, c := range map[string]struct {
		taken  *agent.Taken
		have   []apply.Item
		want   int // items then
		code   int
		spoken bool // the board says it then
	}{
		"another took it":          {taken: &agent.Taken{Entries: []int64{1}, Epoch: 1}, want: 1, spoken: true},
		"another took it back":     {taken: &agent.Taken{Epoch: 1}, have: []apply.Item{mine}, spoken: true},
		"what is no publication":   {taken: &agent.Taken{Entries: []int64{1, 2}, Epoch: 1}, want: 1, spoken: true},
		"more than the source has": {taken: &agent.Taken{Entries: []int64{1, 3}, Epoch: 1}, have: []apply.Item{mine}, want: 1, code: exitIncomplete, spoken: true},
		"a later epoch":            {taken: &agent.Taken{Epoch: 2}, have: []apply.Item{mine}, want: 1, code: exitIncomplete, spoken: true},
		"another Space's feed":     {taken: &agent.Taken{Epoch: 1, Lineage: trust.Lineage{1}}, have: []apply.Item{mine}, want: 1, spoken: true},
		"nobody spoke of it":       {have: []apply.Item{mine}, want: 1, spoken: true},
		"nobody has anything":      {},
	} {
		t.Run(name, func(t *testing.T) {
			r := &subscriber{lease: lease{held: map[string]int64{}, learn: map[string]bool{"web": true}}, conn: &conn{name: "there"}, at: &feed.State{ID: id, Epoch: 1, Index: x}}
			r.sub.Name = "conf"
			r.desk = agent.NewDesk(&memBoard{}, agent.Agent{ID: agent.NewID(), Patience: time.Minute}, time.Now)
			all, err := r.desk.Look(ctx, map[string]string{"conf/web": ""})
			if err != nil || !all["conf/web"].Held {
				t.Fatal(all, err)
			}
			if c.taken != nil {
				if _, err := r.desk.Note(ctx, "conf/web", apply.RecordName("x"), id, *c.taken); err != nil {
					t.Fatal(err)
				}
			}
			e := &apply.Exec{State: storage.NewMem(), Key: "x", Now: time.Now, Sharing: r.sharing("web", apply.RecordName("x"))}
			if err := e.Adopt(ctx, id, c.have); err != nil {
				t.Fatal(err)
			}
			err = r.learnOf(ctx, &puller{target: e, rule: "web", options: pullOptions{exec: "x"}})
			if code, _ := outcomeOf(err); (err != nil) != (c.code > 0) || err != nil && code != c.code || err != nil && !strings.Contains(err.Error(), "has handed out more of feed acme/dev-qa/shared than there shows") {
				t.Errorf("code %d, want %d: %v", code, c.code, err)
			}
			have, err := e.Installed(ctx, id)
			if err != nil || len(have) != c.want || c.want > 0 && have[0].Ref != row.Ref {
				t.Errorf("%+v, %v", have, err)
			}
			if _, ok := r.desk.Taken("conf/web", apply.RecordName("x"), id); ok != c.spoken {
				t.Errorf("the board speaks of it: %v", ok)
			}
		})
	}
}

// TestConfirm: a target is touched only by who holds the rule, by the number that it
// had when the scan began.
func TestConfirm(t *testing.T) {
	ctx, at := t.Context(), &memBoard{}
	late := time.Now()
	desk := func() *agent.Desk {
		return agent.NewDesk(at, agent.Agent{ID: agent.NewID(), Patience: time.Minute}, func() time.Time { return late })
	}
	r := &subscriber{lease: lease{desk: desk(), held: map[string]int64{"web": 1}}}
	r.sub.Name = "conf"
	if err := r.confirm("web")(ctx); err != nil {
		t.Fatal(err)
	}
	other := desk()
	for range 2 {
		if _, err := other.Look(ctx, map[string]string{"conf/web": ""}); err != nil {
			t.Fatal(err)
		}
		late = late.Add(time.Hour)
	}
	if err := r.confirm("web")(ctx); !errors.Is(err, agent.ErrLost) {
		t.Errorf("%v, want ErrLost", err)
	}
	if err := other.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.confirm("web")(ctx); !errors.Is(err, agent.ErrLost) {
		t.Errorf("%v, want ErrLost: it holds it again, and the scan rests on what was before", err)
	}
	if err := (&subscriber{}).confirm("web")(ctx); err != nil {
		t.Errorf("alone: %v", err)
	}
}

// TestConfirmAsked: without its word no target is touched.
func TestConfirmAsked(t *testing.T) {
	p := &puller{confirm: func(context.Context) error { return agent.ErrLost }}
	s := &prepared{doc: pulledDoc{Plan: []apply.Line{{Op: apply.Add}}}}
	if got := p.apply(t.Context(), []*prepared{s}); len(got) != 1 || !errors.Is(got[0].Err, agent.ErrLost) {
		t.Errorf("%+v", got)
	}
}

// TestFreeRests: an agent whose rules are all another's follows nothing, and waits.
func TestFreeRests(t *testing.T) {
	h, err := home.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &subscriber{app: &app{now: time.Now, open: h}, home: h, sub: home.Subscribed{Name: "conf"}, conn: &conn{}, base: &puller{}, rules: []*puller{{rule: "web"}}}
	r.mark, r.elsewhere = r.watermark(), map[string]agent.Standing{"web": {}}
	if failed, waiting := r.turn(t.Context(), nil); failed != nil || waiting != nil {
		t.Error(failed, waiting)
	}
	if left := time.Until(r.wake()); left < time.Minute {
		t.Errorf("it looks again in %s", left)
	}
}
