package apply

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

func TestPlan(t *testing.T) {
	item := func(r feed.Row) Item {
		return Item{Ref: r.Ref, Index: r.Index, Statement: r.ID, Manifest: r.Manifest}
	}
	s := newShelf(t, "acme/dev/shared")
	v1 := s.publish("set/db@1", files{"x": "1"})
	v2 := s.publish("set/db@2_b7", files{"x": "2"})
	v3 := s.publish("set/db@3", files{"x": "3"})
	voided := v2
	voided.Void = "its key was revoked"
	gone := item(v2)
	gone.Missing = 2
	other := item(v2)
	other.Statement = v3.ID
	edited := item(v2)
	edited.Changed = []string{"x", "y", "z"}
	both := edited
	both.Missing, both.Changed = 1, []string{"x"}
	withdrawn := func(rows ...feed.Row) map[feed.Ref]Withdrawn {
		m := map[feed.Ref]Withdrawn{}
		for i, r := range rows {
			m[r.Ref] = Withdrawn{r, feed.Row{Index: int64(8 + i), Ref: r.Ref}}
		}
		return m
	}
	for name, c := range map[string]struct {
		choice      Choice
		installed   []Item
		want, prune string // plans without and with prune
	}{
		"nothing":      {Choice{}, nil, "", ""},
		"add":          {Choice{Wanted: []feed.Row{v1}}, nil, "+ set/db 1", "+ set/db 1"},
		"same":         {Choice{Wanted: []feed.Row{v1}}, []Item{item(v1)}, "= set/db 1", "= set/db 1"},
		"newer":        {Choice{Wanted: []feed.Row{v2}}, []Item{item(v1)}, "~ set/db 1 → 2+b7", "~ set/db 1 → 2+b7"},
		"older chosen": {Choice{Wanted: []feed.Row{v1}}, []Item{item(v2)}, "~ set/db 2+b7 → 1", "~ set/db 2+b7 → 1"},
		"approvals expired": {Choice{Wanted: []feed.Row{v1}, waiting: map[signing.ID]bool{v2.ID: true}}, []Item{item(v2)},
			"! set/db 2+b7 (lacks approvals or a scan by now; what is installed stays)",
			"! set/db 2+b7 (lacks approvals or a scan by now; what is installed stays)"},
		"approvals expired, newer": {Choice{Wanted: []feed.Row{v3}, waiting: map[signing.ID]bool{v2.ID: true}}, []Item{item(v2)},
			"~ set/db 2+b7 → 3", "~ set/db 2+b7 → 3"},
		"approvals expired, withdrawn": {Choice{Wanted: []feed.Row{v1}, waiting: map[signing.ID]bool{v2.ID: true}, Withdrawn: withdrawn(v2)}, []Item{item(v2)},
			"! set/db 2+b7 (2_b7 was withdrawn by acme/dev/shared entry 8)", "~ set/db 2+b7 → 1 (2_b7 was withdrawn by acme/dev/shared entry 8)"},
		"files gone": {Choice{Wanted: []feed.Row{v2}}, []Item{gone},
			"~ set/db 2+b7 (2 of its files are gone)", "~ set/db 2+b7 (2 of its files are gone)"},
		"changed here": {Choice{Wanted: []feed.Row{v2}}, []Item{edited},
			"! set/db 2+b7 (x and 2 more were changed here, which only --force undoes)",
			"! set/db 2+b7 (x and 2 more were changed here, which only --force undoes)"},
		"changed here, and gone": {Choice{Wanted: []feed.Row{v2}}, []Item{both},
			"~ set/db 2+b7 (1 of its files are gone; x was changed here, which only --force undoes)",
			"~ set/db 2+b7 (1 of its files are gone; x was changed here, which only --force undoes)"},
		"changed here, newer": {Choice{Wanted: []feed.Row{v3}}, []Item{edited},
			"~ set/db 2+b7 → 3 (x and 2 more were changed here, which only --force undoes)",
			"~ set/db 2+b7 → 3 (x and 2 more were changed here, which only --force undoes)"},
		"changed here, withdrawn": {Choice{Withdrawn: withdrawn(v2)}, []Item{edited},
			"! set/db 2+b7 (2_b7 was withdrawn by acme/dev/shared entry 8)",
			"- set/db 2+b7 (2_b7 was withdrawn by acme/dev/shared entry 8; x and 2 more were changed here, which only --force undoes)"},
		"not selected": {Choice{}, []Item{item(v1)}, "", ""},
		"withdrawn": {Choice{Withdrawn: withdrawn(v1)}, []Item{item(v1)},
			"! set/db 1 (1 was withdrawn by acme/dev/shared entry 8)", "- set/db 1 (1 was withdrawn by acme/dev/shared entry 8)"},
		"withdrawn, older lives": {Choice{Wanted: []feed.Row{v1}, Withdrawn: withdrawn(v2)}, []Item{item(v2)},
			"! set/db 2+b7 (2_b7 was withdrawn by acme/dev/shared entry 8)", "~ set/db 2+b7 → 1 (2_b7 was withdrawn by acme/dev/shared entry 8)"},
		"withdrawn, newer lives": {Choice{Wanted: []feed.Row{v3}, Withdrawn: withdrawn(v2)}, []Item{item(v2)},
			"~ set/db 2+b7 → 3 (2_b7 was withdrawn by acme/dev/shared entry 8)", "~ set/db 2+b7 → 3 (2_b7 was withdrawn by acme/dev/shared entry 8)"},
		"withdrawn, not installed": {Choice{Withdrawn: withdrawn(v2)}, nil, "", ""},
		"void": {Choice{Void: map[int64]feed.Row{v2.Index: voided}}, []Item{item(v2)},
			"! set/db 2+b7 (2_b7, acme/dev/shared entry 2, does not count any more: its key was revoked)",
			"- set/db 2+b7 (2_b7, acme/dev/shared entry 2, does not count any more: its key was revoked)"},
		"void, of another epoch": {Choice{Void: map[int64]feed.Row{v2.Index: voided}}, []Item{other}, "", ""},
		"void, not selected":     {Choice{Void: map[int64]feed.Row{v2.Index: voided}, sel: Selection{Kinds: []string{"x"}}}, []Item{item(v2)}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for prune, want := range map[bool]string{false: c.want, true: c.prune} {
				got := strings.Join(texts(Plan(s.id, c.choice, c.installed, Consent{Prune: prune})), "\n")
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("prune %v (-want +got):\n%s", prune, diff)
				}
			}
		})
	}
}

// With force a change of the wanted version is undone, and named.
func TestPlanForce(t *testing.T) {
	s := newShelf(t, "acme/dev/shared")
	v := s.publish("set/db@1", files{"x": "1"})
	it := Item{Ref: v.Ref, Index: v.Index, Statement: v.ID, Manifest: v.Manifest, Changed: []string{"x"}}
	got := texts(Plan(s.id, Choice{Wanted: []feed.Row{v}}, []Item{it}, Consent{Force: true}))
	if diff := cmp.Diff([]string{"~ set/db 1 (x was changed here)"}, got); diff != "" {
		t.Error(diff)
	}
}

// model is a target in memory.
type model map[string]Item

func (m model) items() []Item {
	var out []Item
	for _, it := range m {
		out = append(out, it)
	}
	return out
}

func (m model) carryOut(plan []Action) {
	for _, a := range plan {
		switch a.Op {
		case Add, Change:
			m[nameOf(a.Ref)] = Item{Ref: a.Row.Ref, Index: a.Row.Index, Statement: a.Row.ID, Manifest: a.Row.Manifest}
		case Remove:
			delete(m, nameOf(a.Ref))
		}
	}
}

// TestPlanGivesWhatIsWanted: whatever happens in a feed and whenever it is
// pulled, a plan gives the wanted set, and a second one has nothing to do.
func TestPlanGivesWhatIsWanted(t *testing.T) {
	id := newShelf(t, "acme/dev/shared").id
	rapid.Check(t, func(rt *rapid.T) {
		x, have := feed.NewIndex(), model{}
		for range rapid.IntRange(1, 40).Draw(rt, "entries") {
			ref := feed.Ref{Kind: "k", Name: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "name"), Version: fmt.Sprint(rapid.IntRange(1, 5).Draw(rt, "version"))}
			grow(x, ref)
			if !rapid.Bool().Draw(rt, "pull") {
				continue
			}
			prune := rapid.Bool().Draw(rt, "prune")
			c := Choose(&feed.State{Index: x}, anyone(), Selection{}, testNow)
			was := model{}
			for k, v := range have {
				was[k] = v
			}
			plan := Plan(id, c, have.items(), Consent{Prune: prune})
			for i, a := range plan {
				if i > 0 && plan[i-1].Row.Index > a.Row.Index {
					rt.Fatalf("not in the order of entries: %v", texts(plan))
				}
			}
			have.carryOut(plan)
			wantedSet(rt, c, was, have, prune)
			for _, a := range Plan(id, c, have.items(), Consent{Prune: prune}) {
				if a.changes() {
					rt.Fatalf("the second plan still has %v", Describe([]Action{a}))
				}
			}
		}
	})
}

// grow publishes a version, or withdraws it if it is there.
func grow(x *feed.Index, ref feed.Ref) {
	row := feed.Row{Index: x.Size(), What: feed.IsPublication, Ref: ref, Manifest: storage.DigestOf([]byte(ref.String()))}
	row.ID[0], row.ID[1] = byte(row.Index), 1
	if old, ok := x.State(ref); ok {
		if row.What = feed.IsWithdrawal; old.What == feed.IsWithdrawal {
			return
		}
	}
	x.Add(row)
}

func wantedSet(rt *rapid.T, c Choice, was, have model, prune bool) {
	wanted := map[string]feed.Row{}
	for _, row := range c.Wanted {
		wanted[nameOf(row.Ref)] = row
	}
	for _, name := range []string{"k/a", "k/b", "k/c"} {
		old, had := was[name]
		now, has := have[name]
		row, wants := wanted[name]
		_, withdrawn := c.Withdrawn[old.Ref]
		keep := had && withdrawn && !prune && (!wants || row.Index < old.Index)
		switch {
		case keep:
			if now.Ref != old.Ref {
				rt.Fatalf("%s was not retained, there is %s", old.Ref, now.Ref)
			}
		case wants && now.Ref != row.Ref:
			rt.Fatalf("there is %s, wanted is %s", now.Ref, row.Ref)
		case !wants && has:
			rt.Fatalf("there is %s, wanted is nothing", now.Ref)
		}
	}
}
