package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"sync"

	"golang.org/x/sync/errgroup"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// plainSource hides that a source has packs: verify asks for each object by
// itself, since a pack would stand for objects that are damaged.
type plainSource struct{ feed.Source }

// feed reads a feed from nothing and checks everything in it.
func (v *verification) feed(ctx context.Context, name string, o verifyOptions) error {
	id, err := v.feedID(name)
	if err != nil {
		return err
	}
	c, err := v.from(ctx, o.from)
	if err != nil {
		return err
	}
	defer c.Close()
	at, err := v.entries(ctx, c, id)
	if err != nil {
		return err
	}
	if err := v.tree(ctx, at); err != nil {
		return err
	}
	return v.objects(ctx, at)
}

// entries verifies the checkpoint and all statements with a memory of its own.
func (v *verification) entries(ctx context.Context, c *conn, id feed.ID) (*opened, error) {
	f, err := v.follower(ctx, plainSource{c}, id)
	if err != nil {
		return nil, err
	}
	// Read from nothing it is no new feed all the same: rule opening asks that.
	if _, err := feed.LoadState(ctx, f.State, f.View.History().Lineage(), id); err == nil {
		if f.View, err = trust.NewView(f.View.History(), nil); err != nil {
			return nil, err
		}
	}
	f.State, f.Learned = storage.NewMem(), nil
	bar := v.progress("verifying " + id.String())
	f.Progress = bar.set
	state, report, err := f.Sync(ctx, id)
	bar.end()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notThere(err, c, id)
	}
	if errors.Is(err, trust.ErrUntrusted) {
		// A changed certificate looks like a stranger's.
		if wrong := wrongTree(ctx, c, id); wrong != nil {
			err = fmt.Errorf("%w; %v", wrong, err)
		}
	}
	if err != nil {
		return nil, tampered(err)
	}
	cp := state.Checkpoint()
	v.ok("checkpoint", "%s, size %d, root %s, signed by log key %s", cp.Origin, cp.Size, cp.Root, logKeyName(state.LogKey))
	v.ok("statements", "%s verified: signer, identity in force, binding, chain", count(int(cp.Size)-len(report.Void), "entry", "entries"))
	for row := range state.Index.Rows(0) {
		if row.Void != "" {
			v.note("statements", "entry %d does not count: %s", row.Index, row.Void)
		}
	}
	return &opened{c, f, state}, nil
}

// tampered gives an error about content its code: what a source sends that
// cannot even be read is not what was signed. Errors of the way there, and those of
// a disk (see unanswered), keep theirs.
func tampered(err error) error {
	code, _ := outcomeOf(err)
	if code != exitFailed || as[net.Error](err) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || as[*storage.FormatError](err) {
		return err
	}
	if as[*feed.CriticalError](err) {
		return err
	}
	_, hint := outcomeOf(feed.ErrRoot)
	return &failure{code: exitBadSignature, cause: err, what: oneLine(err.Error()), hint: hint}
}

// objects reads what the entries speak of: identities, manifests, payloads.
func (v *verification) objects(ctx context.Context, at *opened) error {
	var identities, publications []feed.Row
	for row := range at.state.Index.Rows(0) {
		switch {
		case row.Void != "":
		case row.What == feed.IsIdentity:
			identities = append(identities, row)
		case row.What == feed.IsPublication:
			publications = append(publications, row)
		}
	}
	if err := v.identities(ctx, at, identities); err != nil {
		return err
	}
	return v.packages(ctx, at, publications)
}

// identities reads the identity documents again: a follower that knows them
// does not fetch them.
func (v *verification) identities(ctx context.Context, at *opened, rows []feed.Row) error {
	good := 0
	err := at.follower.Attestations(ctx, at.state, rows, func(row feed.Row, att signing.Attestation) error {
		st, err := signing.ParseStatement(att.Payload())
		if err != nil {
			return err
		}
		raw, err := feed.ReadObject(ctx, at, at.state.ID, st.Subject, trust.MaxIdentity)
		if err == nil {
			_, err = trust.ParseIdentity(raw)
		}
		if err != nil {
			v.bad("identities", v.objectError(fmt.Sprintf("identity document of entry %d", row.Index), err))
			return ctx.Err()
		}
		good++
		return nil
	})
	if err != nil {
		return tampered(err)
	}
	v.ok("identities", "%s read and checked", count(good, "document", "documents"))
	return nil
}

// objectError names the object, and tells what is damaged from what is not
// there.
func (v *verification) objectError(thing string, err error) error {
	err = fmt.Errorf("%s: %w", thing, err)
	if errors.Is(err, fs.ErrNotExist) {
		return &failure{code: exitIncomplete, cause: err, what: thing + ": the source does not have it", hint: "fetch it again from another source"}
	}
	return tampered(err)
}

// verifyAtOnce is how many packages are read at the same time.
const verifyAtOnce = 8

func (v *verification) packages(ctx context.Context, at *opened, rows []feed.Row) error {
	var mu sync.Mutex
	var packages, files, bytes, done int64
	bar := v.progress("reading packages")
	defer bar.end()
	at.follower.Reading = bar.reading(len(rows))
	defer func() { at.follower.Reading = nil }()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(verifyAtOnce)
	for _, row := range rows {
		g.Go(func() error {
			nFiles, nBytes, err := readPackage(ctx, at, row)
			mu.Lock()
			defer mu.Unlock()
			done++
			bar.set(done, int64(len(rows)))
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				v.bad("packages", v.objectError(fmt.Sprintf("entry %d", row.Index), err))
				return nil
			}
			packages, files, bytes = packages+1, files+nFiles, bytes+nBytes
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	bar.end()
	v.ok("packages", "%s, %s, %s read and checked", count(int(packages), "manifest", "manifests"), count(int(files), "file", "files"), size(bytes))
	return nil
}

// readThrough reads a file of a package to its end, which checks it.
func readThrough(ctx context.Context, p *feed.Package, i int) (int64, error) {
	r, err := p.Open(ctx, i)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return io.Copy(io.Discard, r)
}

// readPackage reads a package to its end, which checks it.
func readPackage(ctx context.Context, at *opened, row feed.Row) (files, bytes int64, err error) {
	err = at.follower.Fetch(ctx, at.state, []feed.Row{row}, func(pkg *feed.Package) error {
		for i, l := range pkg.Manifest.Layers {
			n, err := readThrough(ctx, pkg, i)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", row.Ref, l.Path, err)
			}
			files, bytes = files+1, bytes+n
		}
		return nil
	})
	return files, bytes, err
}
