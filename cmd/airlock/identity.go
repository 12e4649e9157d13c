package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"airlock/internal/home"
	"airlock/trust"
)

func (a *app) identityCommand() *cobra.Command {
	var out string
	export := &cobra.Command{
		Use:     "export [-o FILE]",
		Short:   "Write this Space's identity file, for whoever shall trust it",
		Example: `  airlock identity export -o dev-qa.id`,
		Args:    exactly(0, "no arguments"),
		RunE:    func(*cobra.Command, []string) error { return a.exportIdentity(out) },
	}
	export.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	show := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Show this Space's identity, or the one in a file",
		Example: `  airlock identity show
  airlock identity show dev-qa.id`,
		Args: atMost(1, "at most one identity file"),
		RunE: func(_ *cobra.Command, args []string) error { return a.showIdentity(args) },
	}
	return group("identity", "Show, hand out and change who this Space is", export, show, a.identityRenewCommand(),
		a.identityAddLeafCommand(), a.identityDropLeafCommand(), a.identityRevokeCommand(), a.identityRotateCommand(), a.identityPublishCommand())
}

func (a *app) exportIdentity(out string) error {
	_, history, err := a.space()
	if err != nil {
		return err
	}
	if err := a.writeOutput(out, bytes.NewReader(trust.FormatFile(history))); err != nil {
		return err
	}
	if out != "" {
		a.note("wrote %s; compare the lineage over another channel: %s", out, history.Lineage())
	}
	return nil
}

func (a *app) showIdentity(args []string) error {
	history, err := a.identityOf(args)
	if err != nil {
		return err
	}
	doc := describeIdentity(history)
	return a.show(doc, func(w io.Writer) {
		pairs(w, [2]string{"Space", doc.Space}, [2]string{"Lineage", doc.Lineage}, [2]string{"Version", fmt.Sprint(doc.Version)},
			[2]string{"Issuer", doc.Issuer}, [2]string{"Root key", doc.RootKey}, [2]string{"Next root", doc.NextRoot},
			[2]string{"Encryption", dash(short(doc.Encryption))})
		fmt.Fprintln(w)
		var rows [][]string
		for _, l := range doc.Leaves {
			rows = append(rows, []string{l.Person, strings.Join(l.Roles, ","), l.NotAfter, l.Key})
		}
		columns(w, []string{"PERSON", "ROLES", "UNTIL", "KEY"}, rows)
	})
}

func (a *app) identityOf(args []string) (*trust.History, error) {
	if len(args) == 1 {
		b, err := home.ReadFile(args[0], trust.MaxFile)
		if err != nil {
			return nil, err
		}
		history, err := trust.ParseFile(b)
		if err != nil {
			return nil, badIdentity(args[0], err)
		}
		return history, nil
	}
	_, own, err := a.space()
	return own, err
}

// badIdentity is about a file that is no identity file, or a bad one.
func badIdentity(path string, err error) error {
	err = fmt.Errorf("%s: %w", path, err)
	if code, _ := outcomeOf(err); code != exitFailed {
		return err
	}
	return hinted(err, err.Error(), "name the file that the Space's people made with: airlock identity export -o FILE")
}

type identityDoc struct {
	Space    string `json:"space"`
	Lineage  string `json:"lineage"`
	Version  int    `json:"version"`
	Issuer   string `json:"issuer"`
	RootKey  string `json:"rootKey"`
	NextRoot string `json:"nextRoot"`
	// Encryption is the age recipient to which bundles for the Space are encrypted.
	Encryption string    `json:"encryption,omitempty"`
	Leaves     []leafDoc `json:"leaves"`
}

// short returns the ends of a recipient, of which the post-quantum ones fill a
// screen.
func short(recipient string) string {
	if len(recipient) <= 64 {
		return recipient
	}
	return recipient[:20] + "…" + recipient[len(recipient)-20:]
}

type leafDoc struct {
	Person   string   `json:"person"`
	Roles    []string `json:"roles"`
	Key      string   `json:"key"`
	NotAfter string   `json:"notAfter"`
}

func describeIdentity(h *trust.History) identityDoc {
	id := h.Current()
	doc := identityDoc{Space: h.Space().String(), Lineage: h.Lineage().String(), Version: id.Version,
		Issuer: id.Issuer, RootKey: id.RootKey().String(), NextRoot: id.Next.String(), Encryption: id.Encryption}
	for _, l := range id.Leaves {
		doc.Leaves = append(doc.Leaves, describeLeaf(l))
	}
	return doc
}

func describeLeaf(l trust.Leaf) leafDoc {
	doc := leafDoc{Person: l.Person, Key: l.Key().String(), NotAfter: day(l.X509().NotAfter)}
	for _, r := range l.Roles {
		doc.Roles = append(doc.Roles, string(r))
	}
	return doc
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
