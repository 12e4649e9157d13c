package soak

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"airlock/feed"
	"airlock/internal/home"
	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// update is one that the program was handed.
type update struct {
	feed, name string
	statement  signing.ID
	id         string
	fence      int
}

func (u update) of() string { return u.feed + " " + u.name }

// updates returns what the program was handed so far.
func (s *soak) updates() (out []update, err error) {
	b, err := os.ReadFile(s.path("handed-over"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for line := range strings.Lines(string(b)) {
		var u update
		var statement string
		if _, err := fmt.Sscan(line, &u.feed, &u.name, &statement, &u.id, &u.fence); err != nil {
			return nil, fmt.Errorf("the program wrote %q: %w", line, err)
		}
		d, err := storage.ParseDigest(statement)
		if err != nil {
			return nil, err
		}
		u.statement = signing.ID(d)
		out = append(out, u)
	}
	return out, err
}

// handedOver looks at all that the program was handed.
func (s *soak) handedOver() error {
	updates, err := s.updates()
	if err != nil {
		return err
	}
	given, err := s.polling.receipts()
	if err != nil {
		return err
	}
	indices := map[signing.ID]int64{}
	for _, t := range s.tracks {
		maps.Copy(indices, t.indices)
	}
	again, silent, err := checkUpdates(updates, indices, given)
	s.tally.addN("agents: updates handed over", len(updates)-again)
	s.tally.addN("agents: updates handed over again", again)
	s.tally.addN("agents: updates handed over without a receipt", silent)
	if most := s.tally.of("agents: killed") + s.takeovers(); err == nil && max(again, silent) > most {
		err = fmt.Errorf("%d updates were handed over again, %d have no receipt, and agents were killed or relieved %d times", again, silent, most)
	}
	return err
}

// checkUpdates checks that each name's entries come in their order, but for an agent's
// that was away too long and comes with a lower fence. It returns how many come again,
// and how many have no receipt: of what an agent was doing when it died nobody knows
// how it ended, and where something newer is there that is done instead.
func checkUpdates(updates []update, indices map[signing.ID]int64, given map[signing.ID]bool) (again, silent int, err error) {
	at, seen, fence := map[string]int64{}, map[string]bool{}, 0
	for _, u := range updates {
		index, ok := indices[u.statement]
		switch {
		case !ok:
			return 0, 0, fmt.Errorf("the program was handed entry %s, which is not in feed %s", digits(u.statement), u.feed)
		case u.fence >= fence && index < at[u.of()]:
			return 0, 0, fmt.Errorf("%s of feed %s went back from entry %d to %d", u.name, u.feed, at[u.of()], index)
		case seen[u.id]:
			again++
		case !given[u.statement]:
			silent++
		}
		fence = max(fence, u.fence)
		seen[u.id], at[u.of()] = true, max(index, at[u.of()])
	}
	return again, silent, nil
}

// takeovers returns how often one agent took over from another.
func (s *soak) takeovers() (n int) {
	for _, a := range s.polling.agents {
		b, err := os.ReadFile(a.log.Name())
		must(s.t, err)
		n += strings.Count(string(b), "was taken over from")
	}
	return n
}

// receipts returns what a follower says that it applied. None is there twice, missing
// or of something else than what was signed (receipts.Ledger).
func (f *follower) receipts() (map[signing.ID]bool, error) {
	id := feed.ID{Space: f.space, Name: receipts.Feed}
	h, err := home.Open(f.agents[0].home)
	if err != nil {
		return nil, err
	}
	own, err := h.Identity()
	if err != nil {
		return nil, err
	}
	view, err := trust.NewView(own, nil)
	if err != nil {
		return nil, err
	}
	follow := &feed.Follower{Source: f.s.tracks[0].audit.Local(), View: view, State: f.state, Now: time.Now}
	state, report, err := follow.Sync(f.s.t.Context(), id)
	if err != nil {
		return nil, err
	}
	if len(report.Void) > 0 {
		return nil, fmt.Errorf("receipts of %s are void: %v", f.space, report.Void)
	}
	ledger, out := receipts.NewLedger(), map[signing.ID]bool{}
	err = ledger.Read(f.s.t.Context(), follow, state, func(e receipts.Entry, _ signing.Attestation) error {
		if e.Outcome == receipts.Applied {
			out[e.Publication.Statement] = true
		}
		return nil
	})
	if found := ledger.Findings(); len(found) > 0 {
		err = errors.Join(err, fmt.Errorf("receipts of %s: %s", f.space, found[0]))
	}
	return out, err
}
