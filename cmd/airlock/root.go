package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// version is set by the build.
var version = "devel"

const rootExample = `  airlock init acme/dev-qa                         # make a Space
  airlock identity export -o dev-qa.id             # for whoever shall trust it
  airlock publish shared vars/ templates/          # sign and publish
  airlock trust add dev-qa.id --feed shared        # on the other side
  airlock pull acme/dev-qa/shared --into conf      # verify and write`

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "airlock",
		Short:         "Share configuration between isolated Spaces through signed feeds",
		Example:       rootExample,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.settle(cmd)
		},
	}
	f := root.PersistentFlags()
	f.StringVar(&a.homePath, "home", "", "the Space's own folder: keys, trust, state (default ~/.airlock)")
	f.StringVar(&a.server, "server", "", "URL of the server, or of several of one store with commas between (default those of the operator joined last, else http://127.0.0.1:7070)")
	f.StringVar(&a.store, "store", "", "a store instead of a server: DIR or s3://bucket/prefix")
	f.StringVar(&a.tokenFile, "token-file", "", "file with the token for the server, or for each server a line with its URL and its token")
	f.StringVarP(&a.format, "format", "f", "table", "form of the output: table, json or yaml")
	f.StringVar(&a.passFile, "passphrase-file", "", "file with the passphrase of the private keys")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but data and errors")
	f.BoolVar(&a.noProgress, "no-progress", false, "show no progress on long work")
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "output-format" { // the name that Octopus users know
			name = "format"
		}
		return pflag.NormalizedName(name)
	})
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%v", cmd.CommandPath()+" --help lists the flags", err)
	})
	root.AddCommand(a.commands()...)
	a.completeFlags(root)
	return root
}

func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.initCommand(), a.joinCommand(), a.identityCommand(), a.keyCommand(), a.trustCommand(),
		a.publishCommand(), a.withdrawCommand(), a.pullCommand(), a.agentCommand(), a.subscriptionCommand(), a.audienceCommand(), a.receiptCommand(), a.auditCommand(), a.holdingsCommand(),
		a.bundleCommand(), a.inspectCommand(),
		a.approveCommand(), a.approvalsCommand(),
		a.listCommand(), a.showCommand(), a.diffCommand(), a.statusCommand(),
		a.verifyCommand(), a.logCommand(), a.explainCommand(), a.doctorCommand(),
		a.serveCommand(), a.serverCommand(), a.tsaCommand(),
		a.configCommand(), a.schemaCommand(), a.versionCommand(),
	}
}

// ownMeaning marks a flag that shares only its name with a common one, so the
// common one's environment variable and default are not for it.
const ownMeaning = "own-meaning"

// settle fills in flags that were not given: from AIRLOCK_<FLAG>, then from
// the home's config.yaml. So flag beats environment beats file beats default.
func (a *app) settle(cmd *cobra.Command) error {
	flags := cmd.Flags()
	said, err := a.settleFromEnv(flags)
	if err != nil {
		return err
	}
	a.inEnvironment = said
	if err := a.settleFromFile(flags, said); err != nil {
		return err
	}
	if err := knownForm(a.format, wordFlags["format"]); err != nil {
		return err
	}
	if a.server != "" && a.store != "" {
		if !flags.Changed("server") {
			a.server = "" // a flag beats what the environment says
		} else if !flags.Changed("store") {
			a.store = ""
		} else {
			return usage("both --server and --store were given", "say one: a server, or a store without any server")
		}
	}
	if a.server != "" || a.store != "" {
		return nil
	}
	joined, err := a.operators()
	if len(joined) > 0 {
		a.server = serversOf(joined[0])
	}
	return err
}

// knownForm refuses a form of the output that is none of forms.
func knownForm(form string, forms []string) error {
	if slices.Contains(forms, form) {
		return nil
	}
	last := len(forms) - 1
	return usage("format %.40q is not one of %s", "say -f "+strings.Join(forms[:last], ", -f ")+" or -f "+forms[last], form, strings.Join(forms, ", "))
}

// settleFromEnv returns the names of the flags that the environment set.
func (a *app) settleFromEnv(flags *pflag.FlagSet) (said map[string]bool, err error) {
	said = map[string]bool{}
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Name == "version" || f.Annotations[ownMeaning] != nil {
			return
		}
		name := "AIRLOCK_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value := a.getenv(name); value != "" {
			said[f.Name] = true
			if err := f.Value.Set(value); err != nil {
				errs = append(errs, usage("%s is %.60q, which --%s does not take: %s", "correct or unset the variable", name, value, f.Name, wanted(f, err)))
			}
		}
	})
	return said, errors.Join(errs...)
}

// wanted says what a flag takes, by the error of a value that it does not: its own
// words where it has some, its type where the error is one of parsing alone.
func wanted(f *pflag.Flag, err error) string {
	if as[*strconv.NumError](err) {
		return "want " + f.Value.Type()
	}
	return err.Error()
}

// noCommand refuses what stands where a command is expected.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "airlock --help lists the commands"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean airlock " + strings.Join(near, ", or airlock ") + "? " + hint
	}
	return usage("there is no command %.60q", hint, args[0])
}

// exactly and its like refuse arguments with a message that helps.
func exactly(n int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("%s takes %s, %d given", "see "+cmd.CommandPath()+" --help", cmd.CommandPath(), names, len(args))
		}
		return nil
	}
}

func atLeast(n int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usage("%s takes %s, %d given", "see "+cmd.CommandPath()+" --help", cmd.CommandPath(), names, len(args))
		}
		return nil
	}
}

// group is a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage("%s has no command %q", "see "+cmd.CommandPath()+" --help", cmd.CommandPath(), args[0])
		}
		return cmd.Help()
	}}
	c.AddCommand(children...)
	return c
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
