package agent

import (
	"fmt"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// board is what the agents of a Space tell each other: the value of one cell of the
// store that they follow feeds of, boards/<organisation>/<space>, in canonical JSON
// of at most maxBoard bytes. Every change is a swap of the whole, so what one agent
// says rests on all that was said before; who stops to listen cannot go on speaking.
//
// Work is named <subscription>/<rule>. What nobody says is left out.
type board struct {
	Format string           `json:"format"`
	Work   map[string]*work `json:"work,omitempty"`
}

// work is a rule of a subscription, of which one agent at a time does the work.
//
// A lease has no end by any clock: clocks of machines may be hours apart. Another
// agent that would take over asks (Asked is raised above Answered), and the holder,
// who looks three times within its patience, answers. A holder that owes an
// answer for all of its patience, by the clock of the one who asked, has lost it.
type work struct {
	// Acted is when the rule last acted, where it does so at a time of day; by the
	// clock of the agent that did.
	Acted    string `json:"acted,omitempty"`
	Answered int64  `json:"answered,omitempty"`
	Asked    int64  `json:"asked,omitempty"`
	Fence    int64  `json:"fence"`              // grows with each holder
	Holder   string `json:"holder,omitempty"`   // a process, 32 hexadecimal digits; nobody where it is left out
	Label    string `json:"label,omitempty"`    // of the holder, for people
	Noted    int64  `json:"noted,omitempty"`    // how often Taken was written
	Patience int64  `json:"patience,omitempty"` // of the holder, in milliseconds
	Since    string `json:"since"`              // when it was taken or given back, by that agent's clock; for people
	// Taken is what a rule's program took of feeds, and Target stands for the program.
	Taken  map[feed.ID]Taken `json:"taken,omitempty"`
	Target string            `json:"target,omitempty"`
}

// Taken is what a program took of a feed: publications, by their entries, of one
// epoch of the feed of one Space. They mean what the log says, as whoever reads this
// has verified it.
type Taken struct {
	// Begun is the entry of which the program is handed an update; whether it took
	// it nobody knows until the next word. 0 for none.
	Begun   int64         `json:"begun,omitempty"`
	Entries []int64       `json:"entries,omitempty"` // in order, each once
	Epoch   uint64        `json:"epoch"`
	Lineage trust.Lineage `json:"lineage"`
}

const (
	boardFormat = "airlock-board 1"
	// maxBoard bounds a board, in bytes: about 100,000 packages that programs took.
	maxBoard = feedhttp.MaxBoard
	// maxWork bounds the rules of a board.
	maxWork = 256
	// maxLabel bounds a label, in bytes.
	maxLabel = 100
	// maxPatience is a day, in milliseconds.
	maxPatience = 24 * 60 * 60 * 1000
)

// parseBoard reads what format writes; no bytes are an empty board.
func parseBoard(raw []byte) (*board, error) {
	b := &board{Format: boardFormat, Work: map[string]*work{}}
	if len(raw) == 0 {
		return b, nil
	}
	if len(raw) > maxBoard {
		return nil, fmt.Errorf("board of agents: %d bytes, at most %d are allowed", len(raw), maxBoard)
	}
	if want := `{"format":"` + boardFormat + `"`; !strings.HasPrefix(string(raw), want) {
		return nil, &storage.FormatError{Where: "board of agents", Got: string(raw[:min(len(raw), 60)]), Want: want}
	}
	err := signing.UnmarshalCanonical(raw, b)
	if err == nil {
		err = b.check()
	}
	if err != nil {
		return nil, fmt.Errorf("board of agents: %w", err)
	}
	return b, nil
}

func (b *board) format() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("board of agents: %w", err)
	}
	raw, err := signing.MarshalCanonical(b)
	if err == nil && len(raw) > maxBoard {
		err = fmt.Errorf("board of agents: %d bytes, at most %d are allowed: %w", len(raw), maxBoard, storage.ErrNoSpace)
	}
	return raw, err
}

func (b *board) check() error {
	if len(b.Work) > maxWork {
		return fmt.Errorf("%d rules, at most %d are allowed: %w", len(b.Work), maxWork, storage.ErrNoSpace)
	}
	for name, w := range b.Work {
		subscription, rule, _ := strings.Cut(name, "/")
		if trust.CheckLabel(subscription) != nil || trust.CheckLabel(rule) != nil {
			return fmt.Errorf("work %.150q: want <subscription>/<rule>", name)
		}
		if w == nil {
			return fmt.Errorf("work %s: is null", name)
		}
		if err := w.check(); err != nil {
			return fmt.Errorf("work %s: %w", name, err)
		}
	}
	return nil
}

func (w *work) check() error {
	if w.Answered < 0 || w.Asked < w.Answered || w.Fence < 1 || w.Noted < 0 {
		return fmt.Errorf("answered %d, asked %d, fence %d, noted %d: are no numbers that grow", w.Answered, w.Asked, w.Fence, w.Noted)
	}
	if (w.Holder == "") != (w.Patience == 0) || w.Holder == "" && w.Label != "" || w.Patience < 0 || w.Patience > maxPatience {
		return fmt.Errorf("patience of %d ms of holder %.40q: want 1 to %d, and none of nobody", w.Patience, w.Holder, maxPatience)
	}
	if w.Holder != "" && !isHex(w.Holder) || w.Target != "" && !isHex(w.Target) {
		return fmt.Errorf("holder %.40q, target %.40q: want 32 hexadecimal digits", w.Holder, w.Target)
	}
	if err := signing.CheckText(w.Label, maxLabel); err != nil {
		return fmt.Errorf("label %w", err)
	}
	if _, err := signing.ParseTime(w.Since); err != nil {
		return fmt.Errorf("since: %w", err)
	}
	if _, err := signing.ParseTime(w.Acted); w.Acted != "" && err != nil {
		return fmt.Errorf("acted: %w", err)
	}
	for id, t := range w.Taken {
		if !slices.IsSorted(t.Entries) || len(t.Entries) > 0 && t.Entries[0] < 1 || t.Begun < 0 || t.Epoch < 1 ||
			slices.ContainsFunc(t.Entries, newTwice()) {
			return fmt.Errorf("taken of %s: want an epoch, and entries in order, each once", id)
		}
	}
	return nil
}

// newTwice returns a function that reports a number that it was given just before.
func newTwice() func(int64) bool {
	last := int64(-1)
	return func(n int64) bool {
		twice := n == last
		last = n
		return twice
	}
}

func isHex(s string) bool { return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == "" }
