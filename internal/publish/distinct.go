package publish

import (
	"fmt"
	"strings"
)

// distinct leaves out packages that clash with one before them: a version with
// two contents, or one name for two titles. A package that is there twice, as
// when a file is named beside its folder, is one.
func distinct(packages []Package) (kept []Package, clashes []refusal) {
	versions, titles := map[string]Package{}, map[string]Package{}
	for _, p := range packages {
		name := p.Ref.Kind + "/" + p.Ref.Name
		version := name + "@" + strings.ToLower(p.Ref.Version)
		other, twice := versions[version]
		if twice && other.Digest == p.Digest {
			continue
		}
		if twice {
			clashes = append(clashes, refusal{p.Source, fmt.Errorf("%s and %s are both %s; change the version of one, or give one another name with --name", other.Source, p.Source, p.Ref)})
			continue
		}
		if other, ok := titles[name]; ok && other.Title != p.Title {
			clashes = append(clashes, refusal{p.Source, fmt.Errorf("%s (%q) and %s (%q) would share the name %s; publish one of them with --name", other.Source, other.Title, p.Source, p.Title, name)})
			continue
		}
		versions[version], titles[name] = p, p
		kept = append(kept, p)
	}
	return kept, clashes
}
