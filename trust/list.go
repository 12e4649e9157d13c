package trust

import (
	"fmt"
	"strings"
)

// ListKind is the kind of package that a trust list travels as.
const ListKind = "trust-list"

// Edge is what a trust list says of two Spaces: what To may take that From
// publishes. It is the word of whoever published the list: it can keep out what a
// policy lets in, and propose what a policy does not, and never lets anything in.
type Edge struct {
	From, To Party
	Allow    []Allow // as in a Policy: one of them must cover a thing
}

// Party is a Space as an edge names it. The Lineage decides; the name is for
// people.
type Party struct {
	Space   Space
	Lineage Lineage
}

// String names both Spaces.
func (e Edge) String() string { return fmt.Sprintf("%s to %s", e.From.Space, e.To.Space) }

// String says in a line what the rule lets in: "publish, withdraw variable-set
// shop-* 1.x in shared".
func (a Allow) String() string {
	words := make([]string, 0, 5)
	rights := make([]string, len(a.Rights))
	for i, r := range a.Rights {
		rights[i] = string(r)
	}
	words = append(words, strings.Join(rights, ", "), strings.Join(a.Kinds, ", "))
	if len(a.Names) > 0 {
		words = append(words, strings.Join(a.Names, ", "))
	}
	if len(a.Versions) > 0 {
		masks := make([]string, len(a.Versions))
		for i, m := range a.Versions {
			masks[i] = m.String()
		}
		words = append(words, strings.Join(masks, " or "))
	}
	return strings.Join(words, " ") + " in " + strings.Join(a.Feeds, ", ")
}
