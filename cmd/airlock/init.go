package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/user"

	"github.com/spf13/cobra"

	"airlock/internal/home"
	"airlock/signing"
	"airlock/trust"
)

type initOptions struct {
	issuer, person string
	plain          bool
}

func (a *app) initCommand() *cobra.Command {
	var o initOptions
	c := &cobra.Command{
		Use:   "init ORGANISATION/SPACE",
		Short: "Make a Space: its keys and its identity",
		Long: `Make a Space in the home folder: a root key, the next root's key, a publisher
key with its certificate, another one for connections to servers, an encryption
key, and identity version 1, which names them all.

The private keys are encrypted with a passphrase, or left plain with
--plain-keys. That for connections, which signs nothing, is always plain, so that
pulls run unattended. Nothing that exists is overwritten.`,
		Example: `  airlock init acme/dev-qa
  airlock init acme/dev-qa --passphrase-file pass.txt
  airlock init acme/ci --plain-keys --person "CI of the web shop"`,
		Args: exactly(1, "<organisation>/<space>"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.initSpace(cmd, args[0], o) },
	}
	c.Flags().StringVar(&o.issuer, "issuer", "", "the organisation's issuer URL (default https://<organisation>.airlock.example)")
	c.Flags().StringVar(&o.person, "person", "", "who holds the publisher key (default the user's name)")
	c.Flags().BoolVar(&o.plain, "plain-keys", false, "do not encrypt the private keys")
	return c
}

func (a *app) initSpace(cmd *cobra.Command, name string, o initOptions) error {
	space, err := trust.ParseSpace(name)
	if err != nil {
		return usage("%v", "a Space is named like acme/dev-qa: two labels of a-z, 0-9 and \"-\"", err)
	}
	h, err := a.home()
	if err != nil {
		return err
	}
	if own, err := h.Identity(); !errors.Is(err, home.ErrNoSpace) {
		if err != nil {
			return err
		}
		return hinted(fs.ErrExist, fmt.Sprintf("%s holds the Space %s already", h.Path(), own.Space()),
			"give the new Space a home of its own: --home DIR")
	}
	n := home.NewSpace{Space: space, Issuer: o.issuer, Person: o.person, Now: a.now()}
	if n.Issuer == "" {
		n.Issuer = "https://" + space.Organisation + ".airlock.example"
	}
	if n.Person == "" {
		n.Person = userName()
	}
	if !o.plain {
		if n.Passphrase, err = a.newPassphrase("the keys of this Space"); err != nil {
			return err
		}
	}
	history, err := h.Init(cmd.Context(), n)
	if err != nil {
		return err
	}
	return a.showNewSpace(h, history)
}

// newPassphrase asks twice, or takes what was given without a terminal.
func (a *app) newPassphrase(what string) (*signing.Passphrase, error) {
	first, err := a.passphraseFor(what)
	if err != nil {
		if errors.Is(err, signing.ErrPassphrase) {
			return nil, usage("no passphrase for the private keys",
				"set AIRLOCK_PASSPHRASE, say --passphrase-file FILE, or leave the keys plain with --plain-keys")
		}
		return nil, err
	}
	if first == "" {
		return nil, usage("the passphrase is empty", "choose one, or leave the keys plain with --plain-keys")
	}
	if a.passFile == "" && a.getenv("AIRLOCK_PASSPHRASE") == "" {
		again, err := a.askSecret("The same passphrase again: ")
		if err != nil {
			return nil, err
		}
		if first != again {
			return nil, usage("the two passphrases differ", "run the command again")
		}
	}
	return &signing.Passphrase{Text: first, LogN: keyCost}, nil
}

// keyCost is what each key file costs to open, as signing.Passphrase has it. Only
// tests change it: they open hundreds.
var keyCost int

func userName() string {
	u, err := user.Current()
	switch {
	case err != nil:
		return "publisher"
	case u.Name != "":
		return u.Name
	}
	return u.Username
}

func (a *app) showNewSpace(h *home.Home, history *trust.History) error {
	doc := map[string]string{"space": history.Space().String(), "lineage": history.Lineage().String(), "home": h.Path()}
	return a.show(doc, func(w io.Writer) {
		pairs(w, [2]string{"Space", history.Space().String()}, [2]string{"Lineage", history.Lineage().String()}, [2]string{"Home", h.Path()})
		fmt.Fprintf(w, `
The lineage is what others know this Space by: tell it to them over a channel
that they trust, such as the telephone.

Back up %[1]s/keys. Take root-1.key and root-2.key off this machine: they are
needed only to change who may sign, as airlock identity renew does once a year.
What is signed from day to day is signed with publisher-1.key, and what others
encrypt to this Space is opened with encryption-1.key. tls-1.key is shown to
servers that this Space joins.

Next: airlock identity export -o %[2]s.id
`, h.Path(), history.Space().Name)
	})
}
