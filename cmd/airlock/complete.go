package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/feed/kind"
)

// Shells wait for completions, so they are made of what this home has seen:
// no server and no store is asked, and nothing is made.

// completeFeeds offers the feeds that were followed here, as one argument.
func (a *app) completeFeeds(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.feedNames(typed), cobra.ShellCompDirectiveNoFileComp
}

// completeManyFeeds offers feeds that were not named yet.
func (a *app) completeManyFeeds(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	names := slices.DeleteFunc(a.feedNames(typed), func(name string) bool { return slices.Contains(args, name) })
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeFeedOrFile offers feeds first, then files.
func (a *app) completeFeedOrFile(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.feedNames(typed), cobra.ShellCompDirectiveDefault
}

// completePublish offers the own feeds, then files.
func (a *app) completePublish(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return a.ownFeedNames(typed), cobra.ShellCompDirectiveNoFileComp
}

// completeApprove offers a feed, then live versions of it.
func (a *app) completeApprove(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.feedNames(typed), cobra.ShellCompDirectiveNoFileComp
	}
	word, typed, cut := rejoin(args[1:], typed)
	return cutAll(a.packagesOf(a.seenFeed(args[0]), word, ""), typed, cut)
}

// completeWithdraw offers an own feed, then live versions of it.
func (a *app) completeWithdraw(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.ownFeedNames(typed), cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeApprove(c, args, typed)
}

// completePackage offers FEED/KIND/NAME@VERSION step by step.
func (a *app) completePackage(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	word, typed, cut := rejoin(args, typed)
	if len(args) > 0 && cut == "" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return cutAll(a.packages(word), typed, cut)
}

// completeDiff offers a package, then the versions of it.
func (a *app) completeDiff(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 || !strings.Contains(args[0], "@") {
		return a.completePackage(c, args, typed)
	}
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	path, _, _ := strings.Cut(args[0], "@")
	return cutAll(a.packages(path+"@"+typed), typed, path+"@")
}

// completeSchemas offers what there are schemas of.
func completeSchemas(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return kind.Schemas(), cobra.ShellCompDirectiveNoFileComp
}

// completeTrusted offers the Spaces that are trusted.
func (a *app) completeTrusted(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	var out []string
	if len(args) == 0 && a.hasHome() {
		if h, err := a.home(); err == nil {
			all, _ := h.AllTrusted() // nothing to offer then
			for _, t := range all {
				out = append(out, t.Policy.Space)
			}
		}
	}
	return withPrefix(out, typed), cobra.ShellCompDirectiveNoFileComp
}

// completeSpaceFlag offers the Spaces that are trusted, whatever stands before
// the flag.
func (a *app) completeSpaceFlag(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeTrusted(c, nil, typed)
}

// seenFeeds returns what was seen of feeds; none where there is no home.
func (a *app) seenFeeds() []*feed.State {
	if !a.hasHome() {
		return nil
	}
	states, _ := a.followedFeeds() // a command will say what is wrong
	return states
}

func (a *app) seenFeed(name string) *feed.State {
	for _, s := range a.seenFeeds() {
		if slices.Contains(a.namesOf(s.ID), name) {
			return s
		}
	}
	return nil
}

// namesOf returns how a feed may be named: whole, and for one of the home's
// own Space, by its last part.
func (a *app) namesOf(id feed.ID) []string {
	if h, err := a.home(); err == nil {
		if own, err := h.Identity(); err == nil && own.Space() == id.Space {
			return []string{id.Name, id.String()}
		}
	}
	return []string{id.String()}
}

func (a *app) feedNames(typed string) []string {
	var out []string
	for _, s := range a.seenFeeds() {
		out = append(out, s.ID.String())
	}
	return withPrefix(out, typed)
}

// ownFeedNames also has feeds that were published to and never followed.
func (a *app) ownFeedNames(typed string) []string {
	if !a.hasHome() {
		return nil
	}
	h, own, err := a.space()
	if err != nil {
		return nil
	}
	names, _ := h.Followed(own.Lineage()) // nothing to offer then
	return withPrefix(names, typed)
}

// hasHome reports whether there is a home; asking for one would make it.
func (a *app) hasHome() bool {
	path, err := a.homeFolder()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(path, "format"))
	return err == nil
}
