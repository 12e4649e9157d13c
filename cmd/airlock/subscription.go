package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"airlock/feed/kind"
	"airlock/internal/home"
)

func (a *app) subscriptionCommand() *cobra.Command {
	return group("subscription", "Say what airlock agent takes by itself, when, and what it does with it",
		a.subscriptionAddCommand(), a.subscriptionListCommand(), a.subscriptionCheckCommand(), a.subscriptionRemoveCommand())
}

// newSubscription is what the flags of add say, in the form of the file.
type newSubscription struct {
	APIVersion string    `yaml:"apiVersion"`
	Kind       string    `yaml:"kind"`
	Name       string    `yaml:"name"`
	Feeds      []string  `yaml:"feeds,flow"`
	From       string    `yaml:"from,omitempty"`
	Every      string    `yaml:"every,omitempty"`
	Kinds      []string  `yaml:"kinds,flow,omitempty"`
	Names      []string  `yaml:"names,flow,omitempty"`
	Versions   string    `yaml:"versions,omitempty"`
	Take       string    `yaml:"take,omitempty"`
	Rules      []newRule `yaml:"rules"`
}

type newRule struct {
	Name         string            `yaml:"name"`
	Environments []string          `yaml:"environments,flow,omitempty"`
	Roles        []string          `yaml:"roles,flow,omitempty"`
	Do           map[string]string `yaml:"do,flow"`
	When         string            `yaml:"when,omitempty"`
	Prune        bool              `yaml:"prune,omitempty"`
}

func (a *app) subscriptionAddCommand() *cobra.Command {
	n := newSubscription{APIVersion: "airlock.example/v1", Kind: kind.SubscriptionDocument}
	var rule newRule
	var into, exec string
	var dryRun bool
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a subscription",
		Long: `Write a subscription with one rule to a file in the home's folder subscriptions,
which you may edit: it also has windows, bandwidth and more rules. An agent that
runs takes up the change by itself. With --environment and --target-role the rule is
for agents that were started with one of them each.

A feed is a name or a pattern such as acme/*/shared, which is about feeds of the
Spaces that are trusted here. Nothing comes that the trust policy does not let in.`,
		Example: `  airlock subscription add shop --feed acme/dev-qa/shared --into /srv/shop/conf
  airlock subscription add shop --feed 'acme/*/shared' --kind release --exec ./deploy.sh --when 'at 02:00'
  airlock subscription add shop --feed acme/dev-qa/shared --into conf --environment Production --target-role web
  airlock subscription add approvals --feed acme/officers/approvals
  airlock subscription add shop --feed acme/dev-qa/shared --into conf --dry-run`,
		Args: exactly(1, "a name"),
		RunE: func(_ *cobra.Command, args []string) error {
			n.Name = args[0]
			if into != "" || exec != "" {
				rule.Name, rule.Do = args[0], map[string]string{}
				if err := rule.does(into, exec); err != nil {
					return err
				}
				n.Rules = []newRule{rule}
			} else if len(rule.Environments)+len(rule.Roles) > 0 || rule.When != "" || rule.Prune {
				return usage("--environment, --target-role, --when and --prune are about what is done, and nothing is", "say --into FOLDER or --exec COMMAND")
			}
			return a.subscriptionAdd(n, dryRun)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&n.Feeds, "feed", nil, "feeds to follow, by name or pattern")
	f.StringVar(&n.From, "from", "", "URL of a server, store folder, s3://bucket/prefix, or inbox for what is pushed (default: the server of the home)")
	f.StringVar(&n.Every, "every", "", "how often to look at least, such as 15s")
	f.StringSliceVar(&n.Kinds, "kind", nil, "only these kinds, exact or with a final *")
	f.StringSliceVar(&n.Names, "name", nil, "only these packages, exact or with a final *")
	f.StringVar(&n.Versions, "version-mask", "", "only these versions, such as 1.x")
	f.StringVar(&n.Take, "take", "", "now (default), asked (what its publisher asked for), or manual")
	f.StringVar(&into, "into", "", "folder to write verified files to")
	f.StringVar(&exec, "exec", "", "program to hand each update to, run by the shell in the home")
	f.StringSliceVar(&rule.Environments, "environment", nil, "only where the agent has one of these environments")
	f.StringSliceVar(&rule.Roles, "target-role", nil, "only where the agent has one of these roles")
	for _, name := range []string{"environment", "target-role"} {
		f.SetAnnotation(name, ownMeaning, []string{"for whom the rule is, not what this installation has"})
	}
	f.StringVar(&rule.When, "when", "", "now (default), approved, or a time of day such as 'at 02:00'")
	f.BoolVar(&rule.Prune, "prune", false, "remove or replace what was withdrawn")
	f.BoolVar(&dryRun, "dry-run", false, "print the subscription and write nothing")
	return c
}

// does says what the rule does. A folder is named from where it is typed.
func (r *newRule) does(into, exec string) error {
	if into != "" {
		path, err := filepath.Abs(into)
		if err != nil {
			return err
		}
		r.Do["into"] = path
	}
	if exec != "" {
		r.Do["exec"] = exec
	}
	return nil
}

func (a *app) subscriptionAdd(n newSubscription, dryRun bool) error {
	if len(n.Feeds) == 0 {
		return usage("no feed was named", "say --feed FEED: a name, or a pattern such as 'acme/*/shared'")
	}
	var text bytes.Buffer
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(n), enc.Close()); err != nil {
		return err
	}
	if _, err := kind.ParseSubscription("subscription", text.Bytes()); err != nil {
		return usage("%v", "airlock subscription add --help shows the form of each flag", err)
	}
	if dryRun {
		_, err := a.out.Write(text.Bytes())
		return err
	}
	h, err := a.home()
	if err != nil {
		return err
	}
	file := h.SubscriptionFile(n.Name)
	if err := h.AddSubscription(n.Name, text.Bytes()); errors.Is(err, fs.ErrExist) {
		return hinted(err, "there is a subscription "+n.Name+" already: "+file, "edit that file, or first: airlock subscription remove "+n.Name)
	} else if err != nil {
		return err
	}
	a.note("wrote %s; airlock agent follows it", file)
	return nil
}

// subscriptionDoc is a subscription in short.
type subscriptionDoc struct {
	Name    string    `json:"name"`
	File    string    `json:"file"`
	Feeds   []string  `json:"feeds,omitempty"`
	From    string    `json:"from,omitempty"`
	Every   string    `json:"every,omitempty"`
	Take    string    `json:"take,omitempty"`
	Rules   []ruleDoc `json:"rules,omitempty"`
	Problem string    `json:"problem,omitempty"` // why it is not followed
}

// ruleDoc is a rule, and for which agents it is: where nothing is said for all.
type ruleDoc struct {
	Name         string   `json:"name"`
	Environments []string `json:"environments,omitempty"`
	Roles        []string `json:"roles,omitempty"`
}

// String says it for people.
func (d ruleDoc) String() string {
	out := d.Name
	if len(d.Environments) > 0 {
		out += " in " + strings.Join(d.Environments, " or ")
	}
	if len(d.Roles) > 0 {
		out += " for " + strings.Join(d.Roles, " or ")
	}
	return out
}

func describeSubscription(s home.Subscribed) subscriptionDoc {
	d := subscriptionDoc{Name: s.Name, File: s.File, Feeds: s.Feeds, From: s.From, Take: s.Take}
	if s.Err != nil {
		d.Problem = oneLine(s.Err.Error())
		return d
	}
	d.Every = s.Every.String()
	for _, t := range s.Rules {
		d.Rules = append(d.Rules, ruleDoc{t.Name, t.Environments, t.Roles})
	}
	return d
}

func (a *app) subscriptionListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the subscriptions of this home",
		Long:  `List the subscriptions of this home. airlock status shows what became of them.`,
		Example: `  airlock subscription list
  airlock subscription list -f json`,
		Args: exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			h, err := a.home()
			if err != nil {
				return err
			}
			all, err := h.Subscriptions()
			if err != nil {
				return err
			}
			docs, rows := []subscriptionDoc{}, [][]string{}
			for _, s := range all {
				d := describeSubscription(s)
				docs = append(docs, d)
				var rules []string
				for _, rule := range d.Rules {
					rules = append(rules, rule.String())
				}
				rows = append(rows, []string{d.Name, dash(strings.Join(d.Feeds, ", ")), dash(d.Every), dash(d.Take), dash(strings.Join(rules, ", ")), dash(d.Problem)})
			}
			a.note("%s in %s", count(len(docs), "subscription", "subscriptions"), h.Path())
			return a.show(docs, func(w io.Writer) {
				columns(w, []string{"SUBSCRIPTION", "FEEDS", "EVERY", "TAKE", "RULES", "PROBLEM"}, rows)
			})
		},
	}
}

func (a *app) subscriptionCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE…]",
		Short: "Check files of subscriptions, without FILE all of this home",
		Long: `Check files of subscriptions and say for each thing that is wrong the line, the
field, and what was expected. airlock schema subscription prints the schema.`,
		Example: `  airlock subscription check
  airlock subscription check shop.yaml -f json`,
		RunE: func(_ *cobra.Command, args []string) error { return a.subscriptionCheck(args) },
	}
}

func (a *app) subscriptionCheck(files []string) error {
	var all []home.Subscribed
	for _, file := range files {
		all = append(all, home.ReadSubscription(file))
	}
	if len(files) == 0 {
		h, err := a.home()
		if err != nil {
			return err
		}
		if all, err = h.Subscriptions(); err != nil {
			return err
		}
	}
	docs, wrong := []subscriptionDoc{}, error(nil)
	for _, s := range all {
		docs = append(docs, describeSubscription(s))
		if s.Err != nil {
			wrong = errors.Join(wrong, s.Err)
		}
	}
	if err := a.show(docs, func(w io.Writer) {
		for _, d := range docs {
			if d.Problem == "" {
				fmt.Fprintf(w, "%s: follows %s\n", d.File, strings.Join(d.Feeds, ", "))
			}
		}
	}); err != nil {
		return err
	}
	return wrong
}

func (a *app) subscriptionRemoveCommand() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a subscription; what it took stays",
		Example: `  airlock subscription remove shop
  airlock subscription remove shop --dry-run`,
		Args:              exactly(1, "a name"),
		ValidArgsFunction: a.completeSubscriptions,
		RunE: func(_ *cobra.Command, args []string) error {
			h, err := a.home()
			if err != nil {
				return err
			}
			all, err := h.Subscriptions()
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(all, func(s home.Subscribed) bool { return s.Name == args[0] }) {
				return usage("there is no subscription %.60q", "airlock subscription list shows those that there are", args[0])
			}
			if dryRun {
				a.note("would remove %s", h.SubscriptionFile(args[0]))
				return nil
			}
			if err := h.RemoveSubscription(args[0]); err != nil {
				return err
			}
			a.note("removed %s; what was taken stays where it is", h.SubscriptionFile(args[0]))
			return nil
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be removed")
	return c
}

// completeSubscriptions offers the subscriptions of this home.
func (a *app) completeSubscriptions(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	var out []string
	if len(args) == 0 && a.hasHome() {
		if h, err := a.home(); err == nil {
			all, _ := h.Subscriptions() // nothing to offer then
			for _, s := range all {
				out = append(out, s.Name)
			}
		}
	}
	return withPrefix(out, typed), cobra.ShellCompDirectiveNoFileComp
}
