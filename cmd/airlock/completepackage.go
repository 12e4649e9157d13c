package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed"
)

// rejoin puts together what bash takes apart: "@" ends a word there. cut is
// what stands before the word that the shell completes.
func rejoin(args []string, typed string) (word, part, cut string) {
	n := len(args)
	switch {
	case strings.HasPrefix(typed, "@") && n > 0:
		return args[n-1] + typed, typed, args[n-1]
	case n > 1 && args[n-1] == "@":
		return args[n-2] + "@" + typed, typed, args[n-2] + "@"
	}
	return typed, typed, ""
}

// cutAll leaves of each candidate what the shell does not have yet.
func cutAll(candidates []string, typed, cut string) ([]string, cobra.ShellCompDirective) {
	how := cobra.ShellCompDirectiveNoFileComp
	var out []string
	for _, c := range candidates {
		rest, ok := strings.CutPrefix(c, cut)
		if !ok {
			continue
		}
		out = append(out, rest)
		if strings.HasSuffix(c, "/") || !strings.Contains(c, "@") {
			how |= cobra.ShellCompDirectiveNoSpace // there is more to come
		}
	}
	return withPrefix(out, typed), how
}

func withPrefix(names []string, prefix string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, prefix) })
}

// packages offers what may follow in FEED/KIND/NAME@VERSION: feeds, then
// packages of the one that was typed, then versions.
func (a *app) packages(word string) []string {
	var out []string
	for _, s := range a.seenFeeds() {
		for _, name := range a.namesOf(s.ID) {
			if strings.HasPrefix(word, name+"/") {
				out = append(out, a.packagesOf(s, strings.TrimPrefix(word, name+"/"), name+"/")...)
			} else if strings.HasPrefix(name+"/", word) {
				out = append(out, name+"/")
			}
		}
	}
	return out
}

// packagesOf offers packages of a feed, or the live versions of the one that
// was typed, each with before in front.
func (a *app) packagesOf(s *feed.State, word, before string) []string {
	if s == nil {
		return nil
	}
	var out []string
	path, _, versions := strings.Cut(word, "@")
	for row := range s.Index.Rows(0) {
		if !s.Index.Live(row) {
			continue
		}
		name := row.Ref.Kind + "/" + row.Ref.Name
		switch {
		case versions && (path == name || path == row.Ref.Name):
			name = path + "@" + shownVersion(row.Ref.Version)
		case !versions && strings.HasPrefix(name, word):
		case !versions && strings.HasPrefix(row.Ref.Name, word):
			name = row.Ref.Name
		default:
			continue
		}
		if !slices.Contains(out, before+name) {
			out = append(out, before+name)
		}
	}
	return out
}
