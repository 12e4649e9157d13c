package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/pflag"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// approvalFlags say which approvals a policy asks for.
type approvalFlags struct {
	need      int
	approvers []string
}

func (o *approvalFlags) flags(f *pflag.FlagSet) {
	f.IntVar(&o.need, "approvals", 0, "by how many of the approvers each version of the kinds must be approved")
	f.SetAnnotation("approvals", ownMeaning, []string{"number of persons"})
	f.StringArrayVar(&o.approvers, "approver", nil, "NAME=FILE of a person's public key, or NAME=sha256:… with its thumbprint; again for each key")
}

// rules returns the rule that the flags ask for, about these kinds; none without
// the flags.
func (o approvalFlags) rules(kinds []string) ([]trust.ApprovalRule, error) {
	if o.need == 0 && len(o.approvers) == 0 {
		return nil, nil
	}
	rule := trust.ApprovalRule{Kinds: kinds, Keys: o.need}
	for _, text := range o.approvers {
		name, key, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("--approver %.80q: want NAME=FILE or NAME=sha256:…", text)
		}
		thumbprint, err := keyThumbprint(key)
		if err != nil {
			return nil, fmt.Errorf("--approver %.80s: %w", name, err)
		}
		rule.Persons = append(rule.Persons, trust.Person{Name: name, Key: thumbprint})
	}
	return []trust.ApprovalRule{rule}, nil
}

// keyThumbprint reads a thumbprint, or a file with the public key.
func keyThumbprint(text string) (storage.Digest, error) {
	if d, err := storage.ParseDigest(text); err == nil {
		return d, nil
	}
	pub, err := readPublicKey(text)
	if errors.Is(err, fs.ErrNotExist) {
		return storage.Digest{}, fmt.Errorf("%.200s is no thumbprint (sha256: and 64 hexadecimal digits), and there is no such file", text)
	}
	if err != nil {
		return storage.Digest{}, err
	}
	return signing.PublicThumbprint(pub)
}
