package main

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"airlock/internal/home"
	"airlock/signing"
	"airlock/storage"
)

func (a *app) keyCommand() *cobra.Command {
	return group("key", "Make and show a person's own key", a.keyNewCommand(), a.keyShowCommand())
}

type keyDoc struct {
	Person  string `json:"person,omitempty"`
	Key     string `json:"key"` // thumbprint
	Private string `json:"private,omitempty"`
	Public  string `json:"public"`
}

func (a *app) keyNewCommand() *cobra.Command {
	var person string
	var plain bool
	c := &cobra.Command{
		Use:   "new FILE.key",
		Short: "Make a key of one's own, to approve with",
		Long: `Make a key pair: FILE.key, the private half, encrypted with a passphrase, and
FILE.pub, the public half, for others. The private half never leaves its person.
Nothing that exists is overwritten.`,
		Example: `  airlock key new alice.key
  airlock key new alice.key --person "Alice Doe" --passphrase-file pass.txt`,
		Args: exactly(1, "the private key's file, such as alice.key"),
		RunE: func(_ *cobra.Command, args []string) error { return a.newKey(args[0], person, plain) },
	}
	c.Flags().StringVar(&person, "person", "", "whose key it is, for what is printed (default the file's name)")
	c.Flags().BoolVar(&plain, "plain-keys", false, "do not encrypt the private key")
	return c
}

func (a *app) newKey(path, person string, plain bool) error {
	stem, isKey := strings.CutSuffix(path, ".key")
	if !isKey || filepath.Base(stem) == "" {
		return usage("%.200q: a private key's file ends with .key", "say alice.key, for example: the public half goes into alice.pub", path)
	}
	if person == "" {
		person = filepath.Base(stem)
	}
	var passphrase *signing.Passphrase
	var err error
	if !plain {
		if passphrase, err = a.newPassphrase("the new key"); err != nil {
			return err
		}
	}
	key, err := signing.GenerateKey()
	if err != nil {
		return err
	}
	if err := signing.WriteKeyFile(path, key, passphrase); err != nil {
		return taken(err)
	}
	public, err := signing.FormatPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	if err := storage.CreateFile(stem+".pub", public, 0o644); err != nil {
		return taken(err)
	}
	return a.showKey(keyDoc{Person: person, Private: path, Public: stem + ".pub"}, &key.PublicKey)
}

// taken says what to do where a key file is there already.
func taken(err error) error {
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	return hinted(err, err.Error(), "keys are never overwritten: name another file, or move that one away")
}

func (a *app) keyShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show FILE.pub",
		Short:   "Show the thumbprint of a public key",
		Example: `  airlock key show alice.pub`,
		Args:    exactly(1, "a public key file"),
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := readPublicKey(args[0])
			if err != nil {
				return err
			}
			return a.showKey(keyDoc{Public: args[0]}, key)
		},
	}
}

func (a *app) showKey(doc keyDoc, key *ecdsa.PublicKey) error {
	thumbprint, err := signing.PublicThumbprint(key)
	if err != nil {
		return err
	}
	doc.Key = thumbprint.String()
	return a.show(doc, func(w io.Writer) {
		rows := [][2]string{{"Key", doc.Key}, {"Public", doc.Public}}
		if doc.Private == "" {
			pairs(w, rows...)
			return
		}
		pairs(w, append(rows, [2]string{"Private", doc.Private})...)
		fmt.Fprintf(w, `
Back up %[1]s and tell the thumbprint to those who shall count on it.

In the policy of a receiver, under approvals: {name: %[4]q, key: %[3]q}
In the identity of a Space: airlock identity add-leaf %[2]s --person %[4]q --role approver
`, doc.Private, doc.Public, doc.Key, doc.Person)
	})
}

// readPublicKey reads a public key file.
func readPublicKey(path string) (*ecdsa.PublicKey, error) {
	b, err := home.ReadFile(path, 4096)
	if err != nil {
		return nil, err
	}
	key, err := signing.ParsePublicKey(b)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
		return nil, hinted(err, err.Error(), "name the file that airlock key new wrote, the one that ends with .pub")
	}
	return key, nil
}
