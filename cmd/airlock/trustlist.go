package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"airlock/internal/home"
	"airlock/trust"
)

type trustDoc struct {
	Space   string            `json:"space"`
	Lineage string            `json:"lineage"`
	Until   string            `json:"until,omitempty"`
	MaxAge  string            `json:"maxAge,omitempty"`
	Scan    string            `json:"scan,omitempty"`
	Lists   string            `json:"trustLists,omitempty"`
	File    string            `json:"file"`
	Allow   []trustAllowDoc   `json:"allow"`
	Persons []trustPersonsDoc `json:"approvals,omitempty"`
	// NarrowedBy is what the trust lists that are heeded here let in of it.
	NarrowedBy []narrowedDoc `json:"narrowedBy,omitempty"`
}

type trustAllowDoc struct {
	Feeds    []string      `json:"feeds"`
	Kinds    []string      `json:"kinds"`
	Names    []string      `json:"names,omitempty"`
	Versions []trust.Mask  `json:"versions,omitempty"`
	Rights   []trust.Right `json:"rights"`
}

type trustPersonsDoc struct {
	Kinds   []string         `json:"kinds"`
	Keys    int              `json:"keys"`
	Persons []trustPersonDoc `json:"persons"`
}

type trustPersonDoc struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

func describeTrust(t home.Trusted) trustDoc {
	p := t.Policy
	doc := trustDoc{Space: p.Space, Lineage: p.Lineage.String(), Scan: p.Scan, Lists: p.TrustLists, File: p.File(), Allow: []trustAllowDoc{}}
	if p.Until != nil {
		doc.Until = p.Until.String()
	}
	if p.MaxAge > 0 {
		doc.MaxAge = time.Duration(p.MaxAge).String()
	}
	for _, rule := range p.Allow {
		doc.Allow = append(doc.Allow, trustAllowDoc(rule))
	}
	for _, rule := range p.Approvals {
		d := trustPersonsDoc{Kinds: rule.Kinds, Keys: rule.Keys}
		for _, p := range rule.Persons {
			d.Persons = append(d.Persons, trustPersonDoc{p.Name, p.Key.String()})
		}
		doc.Persons = append(doc.Persons, d)
	}
	return doc
}

func (a *app) trustListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the Spaces that are trusted",
		Example: `  airlock trust list
  airlock trust list -f json`,
		Args: exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			h, err := a.home()
			if err != nil {
				return err
			}
			all, err := h.AllTrusted()
			if err != nil {
				return err
			}
			docs := []trustDoc{}
			var rows [][]string
			for _, t := range all {
				d := describeTrust(t)
				docs = append(docs, d)
				rows = append(rows, []string{d.Space, allowed(d, func(r trustAllowDoc) []string { return r.Feeds }),
					allowed(d, func(r trustAllowDoc) []string { return r.Kinds }), dash(d.Until), d.Lineage})
			}
			return a.show(docs, func(w io.Writer) {
				columns(w, []string{"SPACE", "FEEDS", "KINDS", "UNTIL", "LINEAGE"}, rows)
			})
		},
	}
}

func allowed(d trustDoc, part func(trustAllowDoc) []string) string {
	var out []string
	for _, rule := range d.Allow {
		for _, s := range part(rule) {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return strings.Join(out, ",")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (a *app) trustedSpace(name string) (*home.Home, home.Trusted, error) {
	space, err := trust.ParseSpace(name)
	if err != nil {
		return nil, home.Trusted{}, usage("%v", "airlock trust list shows the Spaces that are trusted", err)
	}
	h, err := a.home()
	if err != nil {
		return nil, home.Trusted{}, err
	}
	t, err := h.Trusted(space)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, t, &failure{code: exitUntrusted, cause: err, what: space.String() + " is not trusted here", hint: "airlock trust list shows the Spaces that are; airlock trust add FILE adds one"}
	}
	return h, t, err
}

func (a *app) trustShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show ORGANISATION/SPACE",
		Short:             "Show what a Space is trusted for",
		Example:           `  airlock trust show acme/dev-qa`,
		Args:              exactly(1, "<organisation>/<space>"),
		ValidArgsFunction: a.completeTrusted,
		RunE: func(_ *cobra.Command, args []string) error {
			h, t, err := a.trustedSpace(args[0])
			if err != nil {
				return err
			}
			doc := describeTrust(t)
			if doc.NarrowedBy, err = narrowing(h, t.History); err != nil {
				return err
			}
			return a.show(doc, func(w io.Writer) {
				text, _ := t.Policy.Format() // read from a file, so it formats
				fmt.Fprintf(w, "# %s\n%s", t.Policy.File(), text)
				narrowingTable(w, doc.NarrowedBy)
			})
		},
	}
}

func (a *app) trustRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "remove ORGANISATION/SPACE",
		Short:             "End the trust in a Space; what was taken stays",
		Example:           `  airlock trust remove acme/dev-qa`,
		Args:              exactly(1, "<organisation>/<space>"),
		ValidArgsFunction: a.completeTrusted,
		RunE: func(_ *cobra.Command, args []string) error {
			h, t, err := a.trustedSpace(args[0])
			if err != nil {
				return err
			}
			if err := h.RemoveTrust(t.History.Space()); err != nil {
				return err
			}
			a.note("%s is no longer trusted; what was taken from it stays where it is", t.History.Space())
			return nil
		},
	}
}
