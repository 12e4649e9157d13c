package main

import (
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed/kind"
)

// completeFeeds offers the feeds that were followed here. It asks no server:
// a shell waits for the answer.
func (a *app) completeFeeds(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	states, err := a.followedFeeds()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, s := range states {
		if name := s.ID.String(); strings.HasPrefix(name, typed) {
			out = append(out, name)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeKinds offers the kinds of packages.
func completeKinds(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return kind.Names(), cobra.ShellCompDirectiveNoFileComp
}
