package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// evidence is a folder from which a stranger repeats the checks of an audit with
// cosign and openssl:
//
//	README.txt           what it is, and how to check it
//	check.sh             does it
//	SHA256SUMS           of every other file
//	report.json          what the audit said
//	receipts.list        a line for each receipt: entry, manifest, publication,
//	                     time of its stamp in seconds since 1970, issuer
//	publications.list    a line for each publication: statement, Space
//	trusted_root.json    the Space's roots, its log, the time authorities
//	tsa-roots.pem        the time authorities again, for openssl
//	identities/          identity documents, by Space and version
//	opening              .json, .sig, .pem: the first entry of the receipts feed,
//	                     which names the key of its log
//	receipts/<entry>     .sigstore.json with certificate, stamp and the log's
//	                     proof; .sig and .tsr, signature and stamp of it
//	subjects/<digest>    manifests that receipts speak of
//	publications/<id>    .json, .sig, .pem: what was signed, by which certificate
type evidence struct {
	*auditor
	dir  string
	sums map[string][sha256.Size]byte
}

// checkEvidence refuses what can be refused before anything is read.
func checkEvidence(o auditOptions, how receipts.AuditOptions) error {
	if o.tsaCerts == "" {
		return usage("--evidence without the time authorities", "say --tsa-certs FILE: strangers check the stamps by it")
	}
	if _, err := timeRoots(how.Authorities, o.tsaCerts); err != nil {
		return err
	}
	if info, err := os.Stat(o.evidence); err == nil && !info.IsDir() {
		return usage("--evidence %s: is not a folder", "name a new folder", o.evidence)
	}
	entries, err := os.ReadDir(o.evidence)
	if err == nil && len(entries) > 0 {
		return usage("--evidence %s: is not empty", "name a new folder", o.evidence)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (r *auditor) writeEvidence(ctx context.Context, o auditOptions, how receipts.AuditOptions, report *receipts.Report) error {
	e := &evidence{r, o.evidence, map[string][sha256.Size]byte{}}
	if err := e.roots(o, how.Authorities); err != nil {
		return err
	}
	var out bytes.Buffer
	if err := report.JSON(&out); err != nil {
		return err
	}
	if err := e.write("report.json", out.Bytes()); err != nil {
		return err
	}
	if err := e.receipts(ctx, how, report); err != nil {
		return err
	}
	if err := e.publications(ctx, report); err != nil {
		return err
	}
	script, err := e.script(report)
	if err != nil {
		return err
	}
	r.note("wrote the evidence of %s; check it: sh %s", count(len(report.Receipts), "receipt", "receipts"), filepath.Join(o.evidence, "check.sh"))
	r.note("%s  check.sh  (write this down: all else can be checked with it)", storage.DigestOf(script).Hex())
	return nil
}

// write writes a file of the folder, name slash-separated.
func (e *evidence) write(name string, b []byte) error {
	path := filepath.Join(e.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	e.sums[name] = sha256.Sum256(b)
	return os.WriteFile(path, b, 0o644)
}

// roots writes by whom strangers believe what follows.
func (e *evidence) roots(o auditOptions, believed *signing.Authorities) error {
	timers, err := timeRoots(believed, o.tsaCerts)
	if err != nil {
		return err
	}
	// The view knows more than the file did: its feeds have told.
	trusted, err := sigstoreRoot(rootsOf(e.back.follower.View.History()), []*feed.State{e.back.state}, timers)
	if err != nil {
		return err
	}
	// Never the file itself, which may hold a private key beside them.
	var authorities bytes.Buffer
	for _, cert := range believed.Certificates() {
		writePEM(&authorities, cert.Raw)
	}
	err = errors.Join(e.write("tsa-roots.pem", authorities.Bytes()), e.write("trusted_root.json", trusted))
	for _, h := range e.spaces() {
		for _, v := range h.Versions() {
			err = errors.Join(err, e.write(fmt.Sprintf("identities/%s.%d.json", spaceFile(h.Space()), v.Identity.Version), v.Identity.Raw()))
		}
	}
	return err
}

// spaces returns what is known of each Space of which a feed was read, sorted by
// name. Feeds of one Space may have told more and less of it: the longest history
// counts.
func (e *evidence) spaces() []*trust.History {
	longest := map[string]*trust.History{}
	for _, f := range append(slices.Collect(maps.Values(e.feeds)), e.back) {
		h := f.follower.View.History()
		if was := longest[h.Space().String()]; was == nil || len(h.Versions()) > len(was.Versions()) {
			longest[h.Space().String()] = h
		}
	}
	var out []*trust.History
	for _, name := range slices.Sorted(maps.Keys(longest)) {
		out = append(out, longest[name])
	}
	return out
}

func spaceFile(s trust.Space) string {
	return strings.ReplaceAll(s.String(), "/", ".")
}

// receipts writes the receipts of the report, and what they speak of.
func (e *evidence) receipts(ctx context.Context, how receipts.AuditOptions, report *receipts.Report) error {
	var list strings.Builder
	rows := []feed.Row{e.back.state.Index.Row(0)}
	at := map[int64]*receipts.Record{}
	for i := range report.Receipts {
		rec := &report.Receipts[i]
		rows = append(rows, e.back.state.Index.Row(rec.Index))
		at[rec.Index] = rec
	}
	err := e.back.follower.Attestations(ctx, e.back.state, rows, func(row feed.Row, att signing.Attestation) error {
		if row.What == feed.IsOpening {
			return e.signed("opening", att)
		}
		rec, name := at[row.Index], fmt.Sprintf("receipts/%d", row.Index)
		proved, err := e.back.withProof(ctx, row, att)
		if err != nil {
			return err
		}
		// One whose stamp does not hold is a finding, and fails in check.sh too.
		stamp, _ := how.Authorities.Verify(att)
		identity := e.back.follower.View.History().Version(e.back.identityAt(row.Index))
		fmt.Fprintf(&list, "%d %s %s %d %s\n", row.Index, rec.Manifest.Hex(), storage.Digest(rec.Publication.Statement).Hex(), stamp.Time.Unix(), identity.Issuer)
		return errors.Join(e.write(name+".sigstore.json", proved), e.write(name+".sig", att.Signature()), e.write(name+".tsr", att.Timestamp()), e.subject(ctx, rec))
	})
	if err != nil {
		return err
	}
	return e.write("receipts.list", []byte(list.String()))
}

// source returns the feed that a receipt speaks of, nil where it was not read.
func (e *evidence) source(rec *receipts.Record) *followedFeed {
	return e.feeds[receipts.Wanted{ID: rec.Publication.Feed, Lineage: rec.Publication.Lineage, Epoch: rec.Publication.Epoch}]
}

// subject writes the manifest that a receipt is about. Without it check.sh goes
// by its digest alone.
func (e *evidence) subject(ctx context.Context, rec *receipts.Record) error {
	name, f := "subjects/"+rec.Manifest.Hex(), e.source(rec)
	if _, have := e.sums[name]; have || f == nil {
		return nil
	}
	b, err := feed.ReadObject(ctx, f, f.state.ID, rec.Manifest, feed.MaxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return e.write(name, b)
}

// publications writes the statements that receipts name.
func (e *evidence) publications(ctx context.Context, report *receipts.Report) error {
	rows, done := map[*followedFeed][]feed.Row{}, map[signing.ID]bool{}
	for i := range report.Receipts {
		rec := &report.Receipts[i]
		if f := e.source(rec); f != nil && rec.PublicationEntry > 0 && !done[rec.Publication.Statement] {
			rows[f] = append(rows[f], f.state.Index.Row(rec.PublicationEntry))
			done[rec.Publication.Statement] = true
		}
	}
	var list []string
	for f, of := range rows {
		slices.SortFunc(of, func(a, b feed.Row) int { return int(a.Index - b.Index) })
		err := f.follower.Attestations(ctx, f.state, of, func(row feed.Row, att signing.Attestation) error {
			id := storage.Digest(att.ID()).Hex()
			list = append(list, id+" "+spaceFile(f.state.ID.Space)+"\n")
			return e.signed("publications/"+id, att)
		})
		if err != nil {
			return err
		}
	}
	slices.Sort(list)
	return e.write("publications.list", []byte(strings.Join(list, "")))
}

// signed writes a statement as openssl takes it: what was signed, the signature,
// the certificate.
func (e *evidence) signed(name string, att signing.Attestation) error {
	var cert bytes.Buffer
	writePEM(&cert, att.CertificateDER())
	return errors.Join(e.write(name+".json", att.Payload()), e.write(name+".sig", att.Signature()), e.write(name+".pem", cert.Bytes()))
}
