package apply

import (
	"strings"

	"airlock/feed"
)

// Line is an action as people and programs read it. Versions have the form
// that they have in a feed, with "_" for "+".
type Line struct {
	Op        Op     `json:"op"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	From      string `json:"from,omitempty"`
	Index     int64  `json:"index"`
	Statement string `json:"statement"`
	Reason    string `json:"reason,omitempty"`
}

// Describe returns a line for each action of a plan, in its order.
func Describe(plan []Action) []Line {
	lines := make([]Line, 0, len(plan))
	for _, a := range plan {
		lines = append(lines, Line{
			Op: a.Op, Kind: a.Ref.Kind, Name: a.Ref.Name, Version: a.Ref.Version, From: a.From,
			Index: a.Row.Index, Statement: a.Row.ID.String(), Reason: a.Reason,
		})
	}
	return lines
}

var marks = map[Op]string{Add: "+", Change: "~", Remove: "-", Retain: "!", Keep: "!", Same: "="}

// Mark is one character for the operation: + ~ - ! or =.
func (l Line) Mark() string { return marks[l.Op] }

// String returns such as "~ variable-set/db 1.3 → 1.4", versions written as
// people do.
func (l Line) String() string {
	s := l.Mark() + " " + nameOf(feed.Ref{Kind: l.Kind, Name: l.Name}) + " "
	if l.Op == Change && l.From != l.Version {
		s += written(l.From) + " → "
	}
	s += written(l.Version)
	if l.Reason != "" {
		s += " (" + l.Reason + ")"
	}
	return s
}

// written undoes feed.ParseVersion.
func written(version string) string { return strings.ReplaceAll(version, "_", "+") }
