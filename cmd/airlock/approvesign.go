package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/internal/publish"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// signApprovals signs, writes and, with --publish, publishes. One approval speaks
// of so many publications at most, so there may be several.
func (a *app) signApprovals(ctx context.Context, doc *approvalDoc, p trust.Approval, rows []feed.Row, o approveOptions) error {
	signer, key, err := a.approver(o)
	if err != nil {
		return err
	}
	doc.Person, doc.Key, p.Key = o.signerName(), key.String(), key
	if slices.ContainsFunc(doc.Approves, func(d approvesDoc) bool { return d.Key == doc.Key }) {
		a.note("airlock: warning: this key published some of it, and its approval of that counts nowhere")
	}
	if o.publish == "" {
		_, err := a.writeApprovals(ctx, doc, signer, p, rows, o.out)
		return err
	}
	to, c, err := a.approvalsPublisher(ctx, signer, &p, o.publish)
	if err != nil {
		return err
	}
	signed, err := a.writeApprovals(ctx, doc, signer, p, rows, o.out)
	if err == nil {
		err = a.publishApprovals(ctx, doc, to, signed)
	}
	return errors.Join(err, c.Close())
}

// writeApprovals signs approvals and writes each to a file of the folder.
func (a *app) writeApprovals(ctx context.Context, doc *approvalDoc, signer *signing.Signer, p trust.Approval, rows []feed.Row, out string) ([]signing.Attestation, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	var signed []signing.Attestation
	for some := range slices.Chunk(rows, trust.MaxApproves) {
		att, err := signApproval(ctx, signer, p, some)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(out, storage.Digest(att.ID()).Hex()+".json")
		if err := storage.ReplaceFile(file, att.Bytes(), 0o644); err != nil {
			return nil, err
		}
		a.note("wrote %s, for: airlock pull %s%s --approvals %s", file, doc.Feed, fromMedium(doc.medium), shellWord(out))
		doc.Made = append(doc.Made, madeDoc{Approval: att.ID().String(), File: file})
		signed = append(signed, att)
	}
	return signed, nil
}

func signApproval(ctx context.Context, signer *signing.Signer, p trust.Approval, rows []feed.Row) (signing.Attestation, error) {
	for _, row := range rows {
		p.Approves = append(p.Approves, row.ID)
	}
	st, err := p.Statement()
	if err != nil {
		return signing.Attestation{}, usage("%v", "airlock approve --help shows the form of each flag", err)
	}
	return signer.Sign(ctx, st)
}

// publishApprovals appends approvals to the approver's own feed, and notes their
// entries.
func (a *app) publishApprovals(ctx context.Context, doc *approvalDoc, to *publish.Publisher, signed []signing.Attestation) error {
	if err := to.Append(ctx, signed); err != nil {
		return err
	}
	state, err := to.Sync(ctx)
	if err != nil {
		return err
	}
	for i, att := range signed {
		made := &doc.Made[i]
		made.Feed = to.Feed.String()
		made.Entry, _ = state.Index.ByID(att.ID()) // just appended
		a.note("published it as entry %d of %s", made.Entry, to.Feed)
	}
	return nil
}

// signerName is the approver's name, for people.
func (o approveOptions) signerName() string {
	if o.person != "" {
		return o.person
	}
	base := filepath.Base(o.key)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// approver returns the signer of a person's key, under the certificate that the
// home's own Space lists for it as an approver's, or else one by the key itself.
func (a *app) approver(o approveOptions) (*signing.Signer, storage.Digest, error) {
	key, err := signing.ReadKeyFile(o.key, func() (string, error) { return a.passphraseFor(o.key) })
	if err != nil {
		return nil, storage.Digest{}, notAKey(err, o.key)
	}
	thumbprint, err := signing.PublicThumbprint(&key.PublicKey)
	if err != nil {
		return nil, thumbprint, err
	}
	cert, err := a.approverLeaf(thumbprint)
	if err == nil && cert == nil {
		cert, err = signing.NewSelfSigned(o.signerName(), key, a.now(), signing.ForStatements)
	}
	if err != nil {
		return nil, thumbprint, err
	}
	signer, err := signing.NewSigner(key, cert)
	return signer, thumbprint, err
}

// notAKey says what to name instead of the half that others get.
func notAKey(err error, path string) error {
	if _, public := readPublicKey(path); public != nil {
		return err
	}
	return hinted(err, path+": is the public half of a key", "name the private half that airlock key new wrote beside it, the one that ends with .key")
}

// approverLeaf returns the certificate of an approver's leaf of the home's own
// Space, nil where it lists none for the key.
func (a *app) approverLeaf(key storage.Digest) ([]byte, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	own, err := h.Identity()
	if err != nil {
		return nil, nil // a person without a Space
	}
	if leaf, ok := own.Current().Leaf(key); ok && leaf.Has(trust.Approver) {
		return leaf.Certificate, nil
	}
	return nil, nil
}

// approvalsPublisher opens the approver's own feed, and binds the approval to it.
func (a *app) approvalsPublisher(ctx context.Context, signer *signing.Signer, p *trust.Approval, name string) (*publish.Publisher, *conn, error) {
	id, err := a.feedID(name)
	if err != nil {
		return nil, nil, err
	}
	h, own, err := a.space()
	if err != nil {
		return nil, nil, err
	}
	listed := func(l trust.Leaf) bool { return bytes.Equal(l.Certificate, signer.CertificateDER()) }
	if own.Space() != id.Space || !slices.ContainsFunc(own.Current().Leaves, listed) {
		return nil, nil, &failure{code: exitUntrusted, what: fmt.Sprintf("%s lists no leaf with role approver for this key, so it cannot sign in %s", own.Space(), id),
			hint: "have it listed (airlock identity add-leaf FILE.pub --person NAME --role approver), or leave out --publish and hand over the file"}
	}
	c, err := a.connect(ctx, publishing)
	if err != nil {
		return nil, nil, err
	}
	to, err := a.publisherOn(ctx, c, id, own, nil)
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	lineage := own.Lineage()
	p.Epoch, p.Feed, p.Lineage = 1, id.String(), &lineage
	state, err := to.Sync(ctx)
	switch {
	case err == nil:
		p.Epoch = state.Epoch
	case errors.Is(err, fs.ErrNotExist): // opened by a publisher, who is asked for
		to.Sign, err = h.Publisher(a.passphrase)
	}
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return to, c, nil
}
