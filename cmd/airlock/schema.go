package main

import (
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed/kind"
)

func (a *app) schemaCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "schema KIND",
		Short: "Print the JSON schema of a kind of package",
		Long: `Print the JSON schema (draft 2020-12) of a kind of package, for editors and
other tools. The kinds are ` + strings.Join(kind.Names(), ", ") + `.`,
		Example: `  airlock schema variable-set
  airlock schema release -o release.schema.json`,
		Args:              exactly(1, "one kind"),
		ValidArgsFunction: completeKinds,
		RunE: func(_ *cobra.Command, args []string) error {
			b, ok := kind.Schema(args[0])
			if !ok {
				return usage("there is no kind %.60q", "the kinds are "+strings.Join(kind.Names(), ", "), args[0])
			}
			return a.writeOutput(out, b)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	return c
}
