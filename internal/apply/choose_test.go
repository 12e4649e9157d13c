package apply

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"airlock/feed"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// policy returns a view with rules for the feed "shared".
func policy(t *testing.T, change func(p *trust.Policy), allow ...trust.Allow) *trust.View {
	t.Helper()
	space := trusttest.New(t, "acme/dev")
	p := trust.NewPolicy(space.Name, space.Lineage())
	p.Allow = allow
	if change != nil {
		change(p)
	}
	return space.View(p)
}

func mask(t *testing.T, s string) trust.Mask {
	t.Helper()
	m, err := trust.ParseMask(s)
	ok(t, err)
	return m
}

func refs(rows []feed.Row) []string {
	var out []string
	for _, r := range rows {
		out = append(out, r.Ref.String())
	}
	return out
}

func refused(t *testing.T, c Choice) []string {
	t.Helper()
	var out []string
	for _, r := range c.Refused {
		var denied *trust.DeniedError
		if !errors.As(r.Err, &denied) {
			t.Errorf("%s: %v is no *trust.DeniedError", r.Row.Ref, r.Err)
		}
		out = append(out, r.Row.Ref.String())
	}
	return out
}

func TestChoose(t *testing.T) {
	s := newShelf(t, "acme/dev/shared")
	for _, ref := range []string{"set/db@1.9", "set/db@1.10", "tpl/slack@3", "set/web@1.0", "tpl/slack@2", "set/web@2.0", "set/old@1-RC"} {
		s.publish(ref, files{"x": ref})
	}
	s.withdraw("set/web@2.0")
	s.withdraw("set/old@1-rc") // versions are compared without case
	s.add(feed.Row{What: feed.IsPublication, Ref: parseRef("set/void@1"), Void: "not signed"})

	all := trust.Allow{Feeds: []string{"*"}, Kinds: []string{"*"}, Rights: []trust.Right{trust.MayPublish, trust.MayWithdraw}}
	publish := all
	publish.Rights = []trust.Right{trust.MayPublish}
	narrow := all
	narrow.Names, narrow.Versions = []string{"db"}, []trust.Mask{mask(t, "<1.10")}
	type want struct {
		Wanted, Refused []string
		Withdrawn       int
	}
	for name, c := range map[string]struct {
		view *trust.View
		sel  Selection
		now  time.Time
		want want
	}{
		// The order of entries decides, not the version: slack 2 came after 3.
		"everything":  {policy(t, nil, all), Selection{}, testNow, want{[]string{"set/db@1.10", "set/web@1.0", "tpl/slack@2"}, nil, 2}},
		"kind":        {anyone(), Selection{Kinds: []string{"tpl"}}, testNow, want{[]string{"tpl/slack@2"}, nil, 0}},
		"name prefix": {anyone(), Selection{Names: []string{"d*", "sl"}}, testNow, want{[]string{"set/db@1.10"}, nil, 0}},
		"version":     {anyone(), Selection{Versions: mask(t, "<=1.9")}, testNow, want{[]string{"set/db@1.9", "set/web@1.0"}, nil, 0}},
		"may not withdraw": {policy(t, nil, publish), Selection{}, testNow,
			want{[]string{"set/db@1.10", "tpl/slack@2", "set/web@2.0", "set/old@1-RC"}, []string{"set/web@2.0", "set/old@1-rc"}, 0}},
		// 1.10 is refused, so the next older one that is not comes in.
		"older instead": {policy(t, nil, narrow), Selection{Names: []string{"db"}}, testNow, want{[]string{"set/db@1.9"}, []string{"set/db@1.10"}, 0}},
		"none":          {policy(t, nil), Selection{Kinds: []string{"tpl"}}, testNow, want{nil, []string{"tpl/slack@2"}, 0}},
		"ended": {policy(t, func(p *trust.Policy) {
			d, err := trust.ParseDate("2026-01-01")
			ok(t, err)
			p.Until = &d
		}, all), Selection{Kinds: []string{"tpl"}}, testNow, want{nil, []string{"tpl/slack@2"}, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Choose(s.state(), c.view, c.sel, c.now)
			if diff := cmp.Diff(c.want, want{refs(got.Wanted), refused(t, got), len(got.Withdrawn)}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(got.Void) != 1 {
				t.Errorf("void: %v", got.Void)
			}
		})
	}
	c := Choose(s.state(), anyone(), Selection{}, testNow)
	if w := c.Withdrawn[parseRef("set/old@1-RC")]; w.By.Index != 9 {
		t.Errorf("set/old@1-RC is withdrawn by entry %d", w.By.Index)
	}
}

// TestChooseFeed: a rule for another feed lets nothing in.
func TestChooseFeed(t *testing.T) {
	s := newShelf(t, "acme/dev/shared")
	s.publish("set/db@1", files{"x": "1"})
	v := policy(t, nil, trust.Allow{Feeds: []string{"shared"}, Kinds: []string{"*"}, Rights: []trust.Right{trust.MayPublish}})
	if c := Choose(s.state(), v, Selection{}, testNow); len(c.Wanted) != 1 {
		t.Errorf("wanted %v", c.Wanted)
	}
	s.id.Name = "other"
	if c := Choose(s.state(), v, Selection{}, testNow); len(c.Wanted) != 0 || len(c.Refused) != 1 {
		t.Errorf("wanted %v", c.Wanted)
	}
}

// What lacks approvals or a sign of life is pending; what is installed and what
// the policy keeps out for good are not.
func TestChoosePending(t *testing.T) {
	s := newShelf(t, "acme/dev/shared")
	old := s.publish("set/db@1", files{"x": "1"})
	row := s.publish("set/db@2", files{"x": "2"})
	publish := trust.Allow{Feeds: []string{"shared"}, Kinds: []string{"set"}, Rights: []trust.Right{trust.MayPublish}}
	for name, test := range map[string]struct {
		change func(*trust.Policy)
		want   error
	}{
		"lets in":   {func(*trust.Policy) {}, nil},
		"kept out":  {func(p *trust.Policy) { p.Allow[0].Kinds = []string{"tpl"} }, nil},
		"stale":     {func(p *trust.Policy) { p.MaxAge = 1 }, trust.ErrStale},
		"approvals": {func(p *trust.Policy) { p.Approvals = []trust.ApprovalRule{{Kinds: []string{"*"}, Keys: 1}} }, trust.ErrUnapproved},
	} {
		t.Run(name, func(t *testing.T) {
			c := Choose(s.state(), policy(t, test.change, publish), Selection{}, testNow)
			for _, installed := range [][]Item{nil, {{Ref: old.Ref, Statement: old.ID}}} {
				got := c.Pending(installed)
				if (got == nil) != (test.want == nil) || got != nil && (!errors.Is(got.Err, test.want) || got.Row.ID != row.ID) {
					t.Errorf("pending: %+v, want %v", got, test.want)
				}
			}
			if got := c.Pending([]Item{{Ref: row.Ref, Statement: row.ID}}); got != nil {
				t.Errorf("what is installed is pending: %+v", got)
			}
			if c.waiting[row.ID] != (test.want == trust.ErrUnapproved) {
				t.Errorf("waiting: %v", c.waiting)
			}
		})
	}
}

// TestSelectionWithin: a selection within another takes what both take.
func TestSelectionWithin(t *testing.T) {
	mask, err := trust.ParseMask("1.x")
	if err != nil {
		t.Fatal(err)
	}
	all := Selection{Kinds: []string{"variable-set", "file"}, Names: []string{"shop-*"}, Versions: mask}
	s := Selection{Kinds: []string{"file", "release"}, Within: &all}
	for ref, want := range map[string]bool{
		"file/shop-a@1.2.0": true, "file/shop-a@2.0.0": false, "file/db@1.2.0": false, "release/shop-a@1.2.0": false, "variable-set/shop-a@1.2.0": false,
	} {
		kind, rest, _ := strings.Cut(ref, "/")
		name, version, _ := strings.Cut(rest, "@")
		if got := s.Match(feed.Ref{Kind: kind, Name: name, Version: version}); got != want {
			t.Errorf("%s: %v, want %v", ref, got, want)
		}
	}
}
