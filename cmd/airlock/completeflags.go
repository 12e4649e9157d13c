package main

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"airlock/feed/kind"
	"airlock/internal/settings"
	"airlock/signing"
	"airlock/trust"
)

// What the values of flags are, for completion. Other values are free text, for
// which no files are offered.
var (
	folderFlags = []string{"home", "store", "from", "into", "base", "root-keys", "receipts", "evidence"}
	fileFlags   = []string{"output", "key-out", "manifest", "identity", "passphrase-file", "token-file",
		"tsa-certs", "log", "access-log", "audit-log", "config", "tls-cert", "tls-key", "exec", "scan", "key", "approvals", "html"}
	wordFlags = map[string][]string{
		"access":          {settings.Open, settings.Credentials},
		"max-volume-size": {"fat32", "dvd", "bd25"},
		"format":          {"table", "json", "yaml"},
		"kind":            kind.Names(),
		"type":            {string(signing.Publication), string(signing.Withdrawal), string(signing.Holdings)},
		"encryption":      {"new", "keep", "drop"},
		"take":            {kind.TakeNow, kind.TakeAsked, kind.TakeManual},
		"when":            {kind.WhenNow, kind.WhenApproved, "at 02:00"},
		"tls":             {settings.Self},
		"role":            {string(trust.Approver), string(trust.Operator), string(trust.Publisher)},
	}
)

// completeFlags sets how the values of all flags of a command and of those
// below it are completed.
func (a *app) completeFlags(c *cobra.Command) {
	set := func(f *pflag.Flag) {
		if _, ok := c.GetFlagCompletionFunc(f.Name); ok || f.Value.Type() == "bool" {
			return
		}
		// The names come from the commands themselves, so this does not fail.
		_ = c.RegisterFlagCompletionFunc(f.Name, a.flagValues(f.Name))
	}
	c.NonInheritedFlags().VisitAll(set)
	for _, child := range c.Commands() {
		a.completeFlags(child)
	}
}

func (a *app) flagValues(name string) cobra.CompletionFunc {
	switch words, ok := wordFlags[name]; {
	case ok:
		return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
	case slices.Contains(folderFlags, name):
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	case slices.Contains(fileFlags, name):
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	case name == "name":
		return a.completeNames
	}
	return cobra.NoFileCompletions
}

// completeNames offers the names of packages of the feeds that stand on the
// line, or of all that were followed.
func (a *app) completeNames(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, s := range a.seenFeeds() {
		if len(args) > 0 && !slices.ContainsFunc(a.namesOf(s.ID), func(n string) bool { return slices.Contains(args, n) }) {
			continue
		}
		for row := range s.Index.Rows(0) {
			if s.Index.Live(row) && !slices.Contains(out, row.Ref.Name) {
				out = append(out, row.Ref.Name)
			}
		}
	}
	return withPrefix(out, typed), cobra.ShellCompDirectiveNoFileComp
}
