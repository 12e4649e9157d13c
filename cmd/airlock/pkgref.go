package main

import (
	"slices"
	"strings"

	"airlock/feed"
	"airlock/feed/kind"
)

// pkgRef is a package as people name it: FEED/NAME@VERSION, with the kind
// before the name where one name has several, and without a version for the
// newest one.
type pkgRef struct {
	feed                feed.ID
	kind, name, version string // kind and version may be empty
}

func (r pkgRef) String() string {
	s := r.name
	if r.kind != "" {
		s = r.kind + "/" + s
	}
	if r.version != "" {
		s += "@" + shownVersion(r.version)
	}
	return s
}

const pkgRefHint = "a package is named like acme/dev-qa/shared/db@1.4 or acme/dev-qa/shared/variable-set/db@1.4"

// pkgRef reads a package's name with its feed. A feed of the home's own Space
// may be named by its last part alone: shared/db@1.4.
func (a *app) pkgRef(text string) (pkgRef, error) {
	path, version, hasVersion := strings.Cut(text, "@")
	parts := strings.Split(path, "/")
	feedParts := 0
	switch n := len(parts); {
	case n == 5 || n == 3 && slices.Contains(kind.Names(), parts[1]):
		feedParts = n - 2
	case n == 4 || n == 2:
		feedParts = n - 1
	case n == 3:
		return pkgRef{}, usage("%.300q names a feed and no package", pkgRefHint, text)
	default:
		return pkgRef{}, usage("%.300q is no package", pkgRefHint, text)
	}
	name := strings.Join(parts[feedParts:], "/")
	if hasVersion {
		name += "@" + version
	}
	r, err := parsePkgRef(name, pkgRefHint)
	if err != nil {
		return r, err
	}
	r.feed, err = a.feedID(strings.Join(parts[:feedParts], "/"))
	return r, err
}

// parsePkgRef reads "[kind/]name[@version]", a package of a feed that is named
// elsewhere.
func parsePkgRef(text, hint string) (pkgRef, error) {
	path, version, hasVersion := strings.Cut(text, "@")
	r := pkgRef{name: path}
	if k, name, ok := strings.Cut(path, "/"); ok {
		r.kind, r.name = k, name
		if !slices.Contains(kind.Names(), r.kind) {
			return r, usage("%.300q: kind %.60q is not one of %s", hint, text, r.kind, strings.Join(kind.Names(), ", "))
		}
	}
	if err := feed.CheckName(r.name); err != nil {
		return r, usage("%v", hint, err)
	}
	if hasVersion {
		v, err := feed.ParseVersion(version)
		if err != nil {
			return r, usage("%v", hint, err)
		}
		r.version = v
	}
	return r, nil
}

// shownVersion writes a version as people do, with "+" for "_".
func shownVersion(v string) string { return strings.ReplaceAll(v, "_", "+") }

// shownRef writes a package as people do.
func shownRef(r feed.Ref) string { return r.Kind + "/" + r.Name + "@" + shownVersion(r.Version) }

// matches reports whether r names the version; versions are compared without
// case, as in a feed.
func (r pkgRef) matches(ref feed.Ref) bool {
	return ref.Name == r.name && (r.kind == "" || ref.Kind == r.kind) &&
		(r.version == "" || strings.EqualFold(ref.Version, r.version))
}

// find returns the publication that r names: of its version, or the newest
// live one.
func (r pkgRef) find(x *feed.Index) (feed.Row, error) {
	var found []feed.Row
	for i := x.Size() - 1; i >= 0; i-- {
		row := x.Row(i)
		if row.What != feed.IsPublication || row.Void != "" || !r.matches(row.Ref) || r.version == "" && !x.Live(row) {
			continue
		}
		if !slices.ContainsFunc(found, func(f feed.Row) bool { return f.Ref.Kind == row.Ref.Kind }) {
			found = append(found, row)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return feed.Row{}, &failure{code: exitFailed, what: "feed " + r.feed.String() + " has no " + r.String(),
			hint: "airlock list " + r.feed.String() + " --all shows what it has"}
	}
	var kinds []string
	for _, f := range found {
		kinds = append(kinds, f.Ref.Kind)
	}
	slices.Sort(kinds)
	return feed.Row{}, usage("%s is of several kinds in feed %s: %s", "say the kind before the name: "+kinds[0]+"/"+r.name, r, r.feed, strings.Join(kinds, ", "))
}
