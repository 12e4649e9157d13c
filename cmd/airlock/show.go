package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/feed/kind"
	"airlock/signing"
	"airlock/trust"
)

func (a *app) showCommand() *cobra.Command {
	var o exportOptions
	var from string
	c := &cobra.Command{
		Use:   "show FEED/NAME[@VERSION]",
		Short: "Show a package: its files, facts, signature and place in the log",
		Long: `Verify a feed and show one package of it: manifest, files, facts, who signed it
and where it stands in the log. Without a version it is the newest live one;
where one name has several kinds, say FEED/KIND/NAME. Sensitive values are
counted and never shown.

--attestation, --manifest and --payload write verified bytes instead, for stock
tools. The attestation is a Sigstore bundle as cosign v3 reads it: with the
certificate, with the hint of a bare public key (--public-key, and --key-out for
the key itself), or with this log's proof of inclusion (--proof).`,
		Example: `  airlock show acme/dev-qa/shared/db@1.4
  airlock show acme/dev-qa/shared/variable-set/db
  airlock show acme/dev-qa/shared/db@1.4 --attestation -o db.sigstore.json
  airlock show acme/dev-qa/shared/db@1.4 --attestation --proof -o db.sigstore.json
  airlock show acme/dev-qa/shared/db@1.4 --attestation --public-key --key-out alice.pem -o db.sigstore.json
  airlock show acme/dev-qa/shared/db@1.4 --manifest -o manifest.json
  airlock show acme/dev-qa/shared/db@1.4 --payload db.yaml -o .`,
		Args:              exactly(1, "one package"),
		ValidArgsFunction: a.completePackage,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.showPackage(cmd.Context(), args[0], from, o) },
	}
	f := c.Flags()
	fromFlag(c, &from)
	f.BoolVar(&o.attestation, "attestation", false, "write the signed statement as a Sigstore bundle")
	f.BoolVar(&o.publicKey, "public-key", false, "with --attestation: name the bare key instead of the certificate")
	f.StringVar(&o.keyOut, "key-out", "", "with --attestation: write the signer's public key to this file, as PEM")
	f.BoolVar(&o.proof, "proof", false, "with --attestation: add the log's proof of inclusion")
	f.BoolVar(&o.manifest, "manifest", false, "write the manifest")
	f.StringVar(&o.payload, "payload", "", "write this file of the package")
	f.StringVarP(&o.out, "output", "o", "", "file, or folder for --payload (default standard output)")
	return c
}

func (a *app) showPackage(ctx context.Context, name, from string, o exportOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	at, row, err := a.openPackage(ctx, name, from)
	if err != nil {
		return err
	}
	defer at.Close()
	if o.any() {
		return a.export(ctx, at, row, o)
	}
	doc, err := describePackage(ctx, at, row)
	if err != nil {
		return err
	}
	return a.show(doc, doc.table)
}

type packageDoc struct {
	Feed       string        `json:"feed"`
	Kind       string        `json:"kind"`
	Name       string        `json:"name"`
	Version    string        `json:"version"`
	Title      string        `json:"title"`
	State      string        `json:"state"`
	Published  string        `json:"published"` // the publisher's clock
	Manifest   manifestDoc   `json:"manifest"`
	Files      []fileDoc     `json:"files"`
	Facts      []factDoc     `json:"facts,omitempty"`
	Entry      int64         `json:"entry"`
	Statement  string        `json:"statement"`
	Previous   string        `json:"previous,omitempty"` // statement before it, of the same name
	SignedBy   signerDoc     `json:"signedBy"`
	Checkpoint checkpointDoc `json:"checkpoint"`
	Scans      []scanDoc     `json:"scans,omitempty"` // what scanners here said, newest first
}

type manifestDoc struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"` // bytes
}

type fileDoc struct {
	Path      string `json:"path"`
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"` // bytes
}

type factDoc struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type signerDoc struct {
	Person   string `json:"person"`
	Key      string `json:"key"`      // SHA-256 of the SubjectPublicKeyInfo
	Identity int    `json:"identity"` // version in force at the entry
	Space    string `json:"space"`
	Lineage  string `json:"lineage"`
}

type checkpointDoc struct {
	Origin string `json:"origin"`
	Epoch  uint64 `json:"epoch"`
	Size   int64  `json:"size"`
	Root   string `json:"root"`
}

func describeCheckpoint(s *feed.State) checkpointDoc {
	return checkpointDoc{Origin: s.ID.Origin(s.Epoch), Epoch: s.Epoch, Size: s.Edge.Size(), Root: s.Edge.Root().String()}
}

func describeSigner(at *opened, v trust.Verified) signerDoc {
	return signerDoc{Person: v.Person(), Key: v.Key().String(), Identity: at.identityAt(v.At().Index),
		Space: at.state.ID.Space.String(), Lineage: at.state.Lineage.String()}
}

func describePackage(ctx context.Context, at *opened, row feed.Row) (packageDoc, error) {
	d := packageDoc{Feed: at.state.ID.String(), Kind: row.Ref.Kind, Name: row.Ref.Name, Version: row.Ref.Version,
		State: rowState(at.state.Index, row), Entry: row.Index, Statement: row.ID.String(),
		Manifest: manifestDoc{row.Manifest.String(), row.ManifestSize}, Files: []fileDoc{}, Checkpoint: describeCheckpoint(at.state)}
	_, v, err := at.verified(ctx, row)
	if err != nil {
		return d, err
	}
	var p feed.Publication
	if err := signing.UnmarshalCanonical(v.Statement().Predicate, &p); err != nil {
		return d, err
	}
	d.SignedBy, d.Published = describeSigner(at, v), p.Time
	if d.Scans, err = at.scans(row); err != nil {
		return d, err
	}
	if p.Previous != nil {
		d.Previous = p.Previous.String()
	}
	err = at.follower.Fetch(ctx, at.state, []feed.Row{row}, func(pkg *feed.Package) error {
		d.Title = pkg.Manifest.Title
		for _, l := range pkg.Manifest.Layers {
			d.Files = append(d.Files, fileDoc{l.Path, l.MediaType, l.Digest.String(), l.Size})
		}
		d.Facts, _, err = facts(ctx, pkg)
		return err
	})
	return d, err
}

// facts are what is worth knowing of a package's document, its first file, and
// whether something of it runs at the receiver. They hold no values.
func facts(ctx context.Context, pkg *feed.Package) (out []factDoc, runs bool, err error) {
	first := pkg.Manifest.Layers[0]
	if first.Size > kind.MaxDocument {
		return nil, false, nil
	}
	b, err := contentsOf(pkg).read(ctx, 0)
	if err != nil {
		return nil, false, err
	}
	doc, err := kind.Inspect(pkg.Manifest.Kind, first.Path, b)
	if err != nil {
		// The signature is good, the content is not of its kind: worth knowing.
		return []factDoc{{"not valid", oneLine(err.Error())}}, false, nil
	}
	for _, f := range doc.Facts {
		out = append(out, factDoc{f.Name, f.Value})
	}
	return out, doc.Executable, nil
}

func (d packageDoc) table(w io.Writer) {
	lines := [][2]string{{"Package", d.Kind + "/" + d.Name + "@" + shownVersion(d.Version)}, {"Title", d.Title}, {"Feed", d.Feed},
		{"State", d.State}, {"Published", d.Published},
		{"Manifest", fmt.Sprintf("%s (%s)", d.Manifest.Digest, size(d.Manifest.Size))},
		{"Entry", fmt.Sprintf("%d of %d", d.Entry, d.Checkpoint.Size)}, {"Statement", d.Statement},
		{"Previous", dash(d.Previous)},
		{"Signed by", fmt.Sprintf("%s, listed by identity version %d of %s", d.SignedBy.Person, d.SignedBy.Identity, d.SignedBy.Space)},
		{"Key", d.SignedBy.Key}, {"Lineage", d.SignedBy.Lineage},
		{"Checkpoint", fmt.Sprintf("%s, size %d, root %s", d.Checkpoint.Origin, d.Checkpoint.Size, d.Checkpoint.Root)}}
	for _, s := range d.Scans {
		lines = append(lines, [2]string{"Scanned", s.String()})
	}
	pairs(w, lines...)
	for _, f := range d.Facts {
		fmt.Fprintf(w, "  %s: %s\n", f.Name, f.Value)
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, f := range d.Files {
		rows = append(rows, []string{f.Path, size(f.Size), f.Digest})
	}
	columns(w, []string{"FILE", "SIZE", "DIGEST"}, rows)
}
