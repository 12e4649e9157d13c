package main

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"airlock/feed/kind"
	"airlock/internal/apply"
	"airlock/trust"
)

// selection says which packages of a feed a command is about. Without flags
// it is all of them.
type selection struct {
	kinds, names []string
	mask         string
}

func (s *selection) flags(f *pflag.FlagSet) {
	f.StringSliceVar(&s.kinds, "kind", nil, "only these kinds, exact or with a final *")
	f.StringSliceVar(&s.names, "name", nil, "only these packages, exact or with a final *")
	f.StringVar(&s.mask, "version-mask", "", "only these versions, such as 1.x")
}

func (s *selection) parse() (apply.Selection, error) {
	sel := apply.Selection{Kinds: s.kinds, Names: s.names}
	if err := checkKinds(s.kinds); err != nil {
		return sel, err
	}
	if s.mask != "" {
		mask, err := trust.ParseMask(s.mask)
		if err != nil {
			return sel, usage("%v", "a mask is a version, or a range such as 1.x, ~1.4 or \">=2, <3\"", err)
		}
		sel.Versions = mask
	}
	return sel, nil
}

// checkKinds refuses kinds that there are not: they would match nothing, and
// nobody would notice. A pattern with a "*" may be about kinds to come.
func checkKinds(kinds []string) error {
	for _, k := range kinds {
		if !strings.HasSuffix(k, "*") && !slices.Contains(kind.Names(), k) {
			return usage("there is no kind %.60q", "the kinds are "+strings.Join(kind.Names(), ", "), k)
		}
	}
	return nil
}
