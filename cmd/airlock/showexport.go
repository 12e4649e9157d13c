package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/signing"
)

// exportOptions say what show writes instead of showing.
type exportOptions struct {
	attestation, publicKey, proof, manifest bool
	keyOut, payload, out                    string
}

func (o exportOptions) any() bool { return o.attestation || o.manifest || o.payload != "" }

func (o exportOptions) check() error {
	chosen := 0
	for _, is := range []bool{o.attestation, o.manifest, o.payload != ""} {
		if is {
			chosen++
		}
	}
	const hint = "airlock show --help has an example of each"
	switch {
	case chosen > 1:
		return usage("more than one of --attestation, --manifest and --payload was given", "run airlock show once for each")
	case !o.attestation && (o.publicKey || o.proof || o.keyOut != ""):
		return usage("--public-key, --key-out and --proof go with --attestation", hint)
	case o.publicKey && o.proof:
		return usage("both --public-key and --proof were given", "a proof is about the certificate, which the log holds: leave out --public-key")
	case chosen == 0 && o.out != "":
		return usage("-o goes with --attestation, --manifest or --payload", hint)
	}
	return nil
}

func (a *app) export(ctx context.Context, at *opened, row feed.Row, o exportOptions) error {
	switch {
	case o.attestation:
		return a.exportAttestation(ctx, at, row, o)
	case o.manifest:
		b, err := feed.ReadObject(ctx, at, at.state.ID, row.Manifest, feed.MaxManifest)
		if err != nil {
			return fmt.Errorf("%s: manifest: %w", row.Ref, err)
		}
		return a.writeOutput(o.out, bytes.NewReader(b))
	}
	return at.follower.Fetch(ctx, at.state, []feed.Row{row}, func(pkg *feed.Package) error {
		return a.exportPayload(ctx, pkg, o)
	})
}

func (a *app) exportAttestation(ctx context.Context, at *opened, row feed.Row, o exportOptions) error {
	att, _, err := at.verified(ctx, row)
	if err != nil {
		return err
	}
	cert, err := signing.ParseCertificate(att.CertificateDER())
	if err != nil {
		return err
	}
	out := att.Bytes()
	switch {
	case o.proof:
		out, err = at.withProof(ctx, row, att)
	case o.publicKey:
		out, err = withPublicKey(att, signing.KeyThumbprint(cert))
	}
	if err != nil {
		return err
	}
	if o.keyOut != "" {
		file, err := signing.FormatPublicKey(cert.PublicKey.(*ecdsa.PublicKey))
		if err != nil {
			return err
		}
		if err := a.writeOutput(o.keyOut, bytes.NewReader(file)); err != nil {
			return err
		}
	}
	return a.writeOutput(o.out, bytes.NewReader(out))
}

// exportPayload writes one file of a package. A file appears whole and
// verified, or not at all; what goes to standard output lacks its end if it
// does not verify.
func (a *app) exportPayload(ctx context.Context, pkg *feed.Package, o exportOptions) error {
	layers := pkg.Manifest.Layers
	i := slices.IndexFunc(layers, func(l feed.Layer) bool { return l.Path == o.payload })
	if i < 0 {
		var paths []string
		for _, l := range layers[:min(len(layers), 10)] {
			paths = append(paths, l.Path)
		}
		return usage("%s has no file %q", "it has "+strings.Join(paths, ", "), pkg.Row.Ref, o.payload)
	}
	r, err := pkg.Open(ctx, i)
	if err != nil {
		return err
	}
	defer r.Close()
	name := fmt.Sprintf("%s: %s", pkg.Row.Ref, layers[i].Path)
	to := o.out
	if info, err := os.Stat(to); err == nil && info.IsDir() {
		to = filepath.Join(to, path.Base(layers[i].Path))
	}
	if err := a.writeOutput(to, r); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if to != "" && to != "-" {
		a.note("wrote %s, %s, %s", to, size(layers[i].Size), layers[i].Digest)
	}
	return nil
}
