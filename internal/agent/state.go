package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"airlock/signing"
	"airlock/storage"
)

// State is what an agent keeps of a subscription, for people and for itself: the
// value of the cell agent/<subscription> in the home's store, canonical JSON. How
// far feeds were followed and what was applied is not in it: their own records
// say that. Times are RFC 3339 in UTC, whole seconds, by this machine's clock.
type State struct {
	// Acted says when the rules that act at a time of day last did, by their names;
	// of a new one, when it was first seen.
	Acted map[string]string `json:"acted,omitempty"`
	// Contact is when the source last answered, to the minute while nothing happens.
	Contact string   `json:"contact,omitempty"`
	Format  string   `json:"format"`
	Home    string   `json:"home,omitempty"` // where this home lay: a copy of it lies elsewhere
	Next    string   `json:"next,omitempty"` // after a problem, when it is tried again at the latest
	Problem *Problem `json:"problem,omitempty"`
	// Work says of each rule, by its name, who did its work when that was last looked
	// at; nothing where no other agent can take it over.
	Work map[string]Worked `json:"work,omitempty"`

	tag string
}

// Worked is whose work a rule is.
type Worked struct {
	Here   bool   `json:"here,omitempty"` // this home's
	Holder string `json:"holder"`         // its id
	Label  string `json:"label,omitempty"`
	// Noted counts the words on the board about what the rule's program took that
	// this home's record knows of.
	Noted int64  `json:"noted,omitempty"`
	Since string `json:"since"`
}

// Problem is why the last scan did not come to its end.
type Problem struct {
	Code  int    `json:"code"`  // the exit code that airlock pull would have had
	Count int    `json:"count"` // of scans in a row
	Hint  string `json:"hint"`
	Since string `json:"since"` // the first of them
	What  string `json:"what"`
}

const (
	stateFormat = "airlock-agent 1"
	maxState    = 256 << 10 // bytes
	// maxSaid bounds what is kept of an error, in bytes.
	maxSaid = 2000
)

// Load returns what is kept of a subscription; a new State where nothing is.
func Load(ctx context.Context, store *storage.Store, subscription string) (State, error) {
	key := "agent/" + subscription
	value, tag, err := store.Cells.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return State{Format: stateFormat}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("%s: %w", key, err)
	}
	s, err := parseState(value)
	if err != nil {
		return State{}, fmt.Errorf("%s: %w", key, err)
	}
	s.tag = tag
	return s, nil
}

func parseState(value []byte) (s State, err error) {
	if len(value) > maxState {
		return s, fmt.Errorf("%d bytes, at most %d are allowed", len(value), maxState)
	}
	if err := signing.UnmarshalCanonical(value, &s); err != nil {
		return s, err
	}
	if s.Format != stateFormat {
		return s, &storage.FormatError{Where: "state of a subscription", Got: s.Format, Want: stateFormat}
	}
	times := []string{s.Contact, s.Next}
	if s.Problem != nil {
		times = append(times, s.Problem.Since)
	}
	for _, t := range s.Acted {
		times = append(times, t)
	}
	for _, w := range s.Work {
		times = append(times, w.Since)
	}
	for _, t := range times {
		if _, err := signing.ParseTime(t); t != "" && err != nil {
			return s, err
		}
	}
	return s, nil
}

// Save keeps the state. Of a subscription one agent at a time keeps any, so its word
// stands even where it does not know the last one.
func (s *State) Save(ctx context.Context, store *storage.Store, subscription string) error {
	value, err := signing.MarshalCanonical(s)
	if err != nil {
		return err
	}
	key := "agent/" + subscription
	tag, err := store.Cells.Swap(ctx, key, s.tag, value)
	if errors.Is(err, storage.ErrConflict) || errors.Is(err, storage.ErrUnclear) {
		if _, s.tag, err = store.Cells.Load(ctx, key); err == nil || errors.Is(err, fs.ErrNotExist) {
			tag, err = store.Cells.Swap(ctx, key, s.tag, value)
		}
	}
	if err != nil {
		return fmt.Errorf("agent/%s: %w", subscription, err)
	}
	s.tag = tag
	return nil
}

// Failed notes a scan that did not come to its end: the exit code that it would
// have had, what happened and what to do.
func (s *State) Failed(now time.Time, code int, what, hint string) {
	p := &Problem{Code: code, Hint: cut(hint), Since: signing.FormatTime(now), What: cut(what)}
	if s.Problem != nil {
		p.Since, p.Count = s.Problem.Since, s.Problem.Count
	}
	p.Count++
	s.Problem = p
}

func cut(text string) string {
	if len(text) <= maxSaid {
		return text
	}
	return strings.ToValidUTF8(text[:maxSaid], "") + "…"
}

// Due reports whether a rule that acts at a time of day has not done so since that
// last was. One that was not seen before waits for its next time. What was missed
// while no agent ran is made up for; windows are what keeps it from the day.
func (s *State) Due(rule string, minutes int, zone *time.Location, now time.Time) bool {
	acted, err := signing.ParseTime(s.Acted[rule])
	if err != nil {
		s.Act(rule, now)
		return false
	}
	return acted.Before(LastAt(minutes, zone, now))
}

// Act notes that a rule did its work.
func (s *State) Act(rule string, now time.Time) { s.Done(rule, signing.FormatTime(now)) }

// Done is Act for a time as the state has it.
func (s *State) Done(rule, at string) {
	if s.Acted == nil {
		s.Acted = map[string]string{}
	}
	s.Acted[rule] = at
}
