package main

import (
	"bytes"
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed/kind"
)

func (a *app) schemaCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "schema KIND",
		Short: "Print the JSON schema of a kind of package, or of a subscription",
		Long: `Print the JSON schema (draft 2020-12) of a kind of package, or of a subscription
of airlock agent, for editors and other tools. There are ` + strings.Join(kind.Schemas(), ", ") + `.`,
		Example: `  airlock schema variable-set
  airlock schema release -o release.schema.json`,
		Args:              exactly(1, "one kind"),
		ValidArgsFunction: completeSchemas,
		RunE: func(_ *cobra.Command, args []string) error {
			b, ok := kind.Schema(args[0])
			if !ok {
				return usage("there is no schema of %.60q", "there are "+strings.Join(kind.Schemas(), ", "), args[0])
			}
			return a.writeOutput(out, bytes.NewReader(b))
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	return c
}
