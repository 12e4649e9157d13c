package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"airlock/internal/home"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

type verifyOptions struct {
	from, manifest, identity, kind string
}

func (a *app) verifyCommand() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify FEED|DIR|FILE",
		Short: "Check everything again from the beginning",
		Long: `Check everything again, trusting nothing that was checked before. TARGET is

  a feed            every entry, hash tile, manifest and payload is read again
                    from the source, and compared with what was seen here
  a folder          that was pulled into: every file against the index
  an identity file  its chain from version 1 on
  an approval       whose key signed it, what it approves, for whom, until when,
                    and whether it counts here
  an attestation    with --manifest and --identity: signature, signer and what
                    it is bound to, without any network

Each check says that it ran. The exit code is 10 where something is not what was
signed, 12 where the feed went back or was forked, 4 where files of a folder are
missing or do not belong, 3 where the source does not have all.`,
		Example: `  airlock verify acme/dev-qa/shared
  airlock verify acme/dev-qa/shared --from /mnt/store
  airlock verify conf
  airlock verify dev-qa.id
  airlock verify approvals/c919a0ff.json
  airlock verify db.sigstore.json --manifest manifest.json --identity dev-qa.id`,
		Args:              exactly(1, "one feed, folder or file"),
		ValidArgsFunction: a.completeFeedOrFile,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.verify(cmd.Context(), args[0], o) },
	}
	fromFlag(c, &o.from)
	f := c.Flags()
	f.StringVar(&o.manifest, "manifest", "", "for an attestation: the manifest or document it speaks of")
	f.StringVar(&o.identity, "identity", "", "for an attestation: the identity file of the Space")
	f.StringVar(&o.kind, "type", string(signing.Publication), "for an attestation: the kind of statement it must be")
	return c
}

func (a *app) verify(ctx context.Context, target string, o verifyOptions) error {
	info, err := os.Stat(target)
	v := &verification{app: a, doc: verifyDoc{Target: target, Checks: []checkDoc{}}, found: map[string]bool{}}
	switch {
	case err != nil && looksLikePath(target):
		return err
	case err != nil:
		err = v.feed(ctx, target, o)
	case info.Mode().IsRegular():
		err = v.file(target, o)
	case hasIndex(target):
		err = v.folder(ctx, target)
	case isStore(target):
		return usage("%s is a store", "say which feed of it: airlock verify FEED --from "+target, target)
	default:
		err = v.feed(ctx, target, o)
		if code, _ := outcomeOf(err); code == exitUsage {
			err = usage("%s is a folder that nothing was pulled into", "name a folder that airlock pull --into wrote, a file, or a feed", target)
		}
	}
	return v.end(err)
}

func looksLikePath(s string) bool {
	return filepath.Ext(s) != "" || filepath.IsAbs(s) || s[:min(len(s), 1)] == "."
}

// verification collects checks. What it finds does not end it: all that is
// wrong is shown.
type verification struct {
	*app
	doc   verifyDoc
	first error           // the worst finding
	found map[string]bool // checks that found something
}

type verifyDoc struct {
	Target string     `json:"target"`
	OK     bool       `json:"ok"`
	Checks []checkDoc `json:"checks"`
}

type checkDoc struct {
	Check  string `json:"check"`
	Result string `json:"result"` // "ok", "note" or "BAD"
	Detail string `json:"detail"`
}

func (v *verification) line(result, check, format string, args ...any) {
	d := checkDoc{check, result, oneLine(fmt.Sprintf(format, args...))}
	v.doc.Checks = append(v.doc.Checks, d)
	if v.format == "table" {
		v.clearBar()
		fmt.Fprintf(v.out, "%-4s  %-12s  %s\n", d.Result, d.Check, d.Detail)
	}
}

// ok says that a check ran; it is not ok where it found something too.
func (v *verification) ok(check, format string, args ...any) {
	if v.found[check] {
		v.line("note", check, format, args...)
		return
	}
	v.line("ok", check, format, args...)
}

func (v *verification) note(check, format string, args ...any) {
	v.line("note", check, format, args...)
}

// bad records a finding and keeps the worst.
func (v *verification) bad(check string, err error) {
	v.line("BAD", check, "%v", err)
	v.found[check] = true
	if v.first == nil || severity(err) > severity(v.first) {
		v.first = err
	}
}

// gravest orders what checks find by what it says of who made it: forged,
// another history, a stranger; then what can be mended. Nobody is sent to approve
// what came too late.
var gravest = []int{exitBadSignature, exitRollback, exitUntrusted, exitNoBase, exitRepairable, exitStale, exitUnapproved, exitIncomplete}

func severity(err error) int {
	code, _ := outcomeOf(err)
	if i := slices.Index(gravest, code); i >= 0 {
		return len(gravest) - i
	}
	return 0
}

// end shows the checks and returns the worst finding.
func (v *verification) end(err error) error {
	if err == nil {
		err = v.first
	} else if len(v.doc.Checks) > 0 {
		v.line("BAD", "stopped", "%v", err)
	}
	v.doc.OK = err == nil
	if v.format != "table" && len(v.doc.Checks) > 0 {
		if err := v.show(v.doc, nil); err != nil {
			return err
		}
	}
	return err
}

// file verifies an identity file, an approval or another attestation.
func (v *verification) file(path string, o verifyOptions) error {
	b, err := home.ReadFile(path, trust.MaxFile)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		return v.attestation(path, b, o)
	}
	history, err := trust.ParseFile(b)
	if err != nil {
		return badFile(path, err)
	}
	for _, version := range history.Versions() {
		v.ok("identity", "version %d of %s: %s by the roots it needs, %s", version.Identity.Version, history.Space(),
			count(len(version.Statements), "statement", "statements"), count(len(version.Identity.Leaves), "leaf", "leaves"))
	}
	v.ok("lineage", "%s", history.Lineage())
	return nil
}

// badFile gives what does not parse the code of what was tampered with: here
// that is the question.
func badFile(path string, err error) error {
	return &failure{code: exitBadSignature, cause: err, what: path + ": " + oneLine(err.Error()),
		hint: "this is not what was handed out: get the file again from its people"}
}

// attestation verifies a statement offline: by whom, listed where, bound to
// what.
func (v *verification) attestation(path string, b []byte, o verifyOptions) error {
	if o.manifest == "" && o.identity == "" {
		if done, err := v.approval(path, b); done {
			return err
		}
	}
	if o.manifest == "" || o.identity == "" {
		return usage("%s is an attestation, and --manifest or --identity is missing",
			"say what it speaks of (--manifest FILE) and whose it is (--identity FILE.id)", path)
	}
	manifest, err := home.ReadFile(o.manifest, maxStatementSubject)
	if err != nil {
		return err
	}
	id, err := home.ReadFile(o.identity, trust.MaxFile)
	if err != nil {
		return err
	}
	history, err := trust.ParseFile(id)
	if err != nil {
		return badFile(o.identity, err)
	}
	v.ok("identity", "%s, lineage %s, %s", history.Space(), history.Lineage(), count(len(history.Versions()), "version", "versions"))
	att, proof, err := readBundle(b)
	if errors.Is(err, errBareKey) {
		return usage("%s: %v", "verify it with that key (cosign verify-blob-attestation --key FILE), or write it without --public-key", path, err)
	}
	if err != nil {
		return badFile(path, err)
	}
	if err := v.statement(att, manifest, history, signing.Kind(o.kind)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if proof != nil {
		if err := proof.check(att); err != nil {
			return badFile(path, err)
		}
		v.ok("proof", "entry %s of %s gives root %x of the checkpoint", proof.LogIndex, proof.Proof.TreeSize, proof.Proof.RootHash)
		v.note("proof", "who signed the checkpoint is known from the feed only: airlock verify FEED")
	}
	return nil
}

// hasIndex reports whether packages were pulled into a folder.
func hasIndex(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, ".airlock", "index.json"))
	return err == nil
}

func isStore(dir string) bool {
	b, err := home.ReadFile(filepath.Join(dir, "format"), 100)
	return err == nil && string(b) == storage.Format
}
