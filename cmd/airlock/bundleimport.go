package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/spf13/cobra"

	"airlock/bundle"
	"airlock/feed"
	"airlock/internal/server"
	"airlock/storage"
)

func (a *app) bundleImportCommand() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "import STICK [FEED…] --store DIR",
		Short: "Take feeds of a medium into a store, to be served on from here",
		Long: `Verify a medium as airlock pull does, and put its feeds into a store: entries, log
and packages, applied nowhere. A server on that store, or whoever reads the store
itself, then has the feeds as their publisher signed them. They are a mirror: nobody
can add to them here. Without FEED all that the medium has of trusted Spaces.

Later media go on where the store ends. Readers see nothing of a feed before all
of it is verified and durable; a run that was ended is run again.`,
		Example: `  airlock bundle import /mnt/stick --store /srv/airlock/mirror
  airlock serve --store /srv/airlock/mirror
  airlock bundle import /mnt/stick acme/dev-qa/shared --store s3://bucket/mirror`,
		Args: atLeast(1, "a medium and feeds"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return a.completeManyFeeds(cmd, args, typed)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.bundleImport(cmd.Context(), args[0], args[1:], dryRun)
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "verify everything, and put nothing into the store")
	return c
}

type importedDoc struct {
	Feed     string `json:"feed"`
	From     int64  `json:"from"` // entries that the store had
	To       int64  `json:"to"`   // entries that it has
	Root     string `json:"root"`
	Packages int    `json:"packages"` // whose payloads were stored
	Missing  int    `json:"missing"`  // live ones whose payloads are not there yet
	DryRun   bool   `json:"dryRun,omitempty"`
}

func (a *app) bundleImport(ctx context.Context, from string, names []string, dryRun bool) error {
	paths := stickPaths(from)
	switch {
	case a.store == "":
		return usage("--store is missing", "say which store shall serve the feeds on: --store DIR")
	case paths == nil:
		return usage("%s holds no bundle", "name the folder in which the volumes ("+bundle.Extension+") lie, or the volumes", from)
	}
	c, err := a.openStick(ctx, paths...)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := a.forUs(c.stick); err != nil {
		return err
	}
	ids, err := a.feedsOf(ctx, c, names, "trusted")
	if err != nil {
		return err
	}
	in, err := newIntake(&puller{app: a, conn: c}, ids)
	if err != nil {
		return err
	}
	err = a.keepOnly(c.stick, func(b *bundle.Bundle) error { return b.Document().CheckExpiry(a.now()) })
	if err != nil {
		return err
	}
	if err := in.quarantine(ctx); err != nil {
		return err
	}
	m, err := a.openMirror(ctx, a.store, dryRun)
	if err != nil {
		return err
	}
	docs, err := m.takeIn(ctx, in, dryRun)
	if err = errors.Join(err, m.close()); err != nil {
		return err
	}
	return a.show(docs, func(w io.Writer) { importedTable(w, docs) })
}

// mirrorStore is a store that serves on what other operators' logs hold.
type mirrorStore struct {
	*app
	store  *storage.Store
	server *server.Server
}

func (a *app) openMirror(ctx context.Context, where string, dryRun bool) (*mirrorStore, error) {
	to := publishing
	if dryRun {
		to = planning
	}
	store, err := a.openStorage(ctx, where, to)
	if err != nil {
		return nil, err
	}
	// Without a key: nothing is signed here.
	return &mirrorStore{a, store, server.New(server.Config{Store: store, Logger: a.logger(slog.LevelWarn), Now: a.now})}, nil
}

func (m *mirrorStore) close() error { return errors.Join(m.server.Close(), m.store.Close()) }

// takeIn verifies all feeds of a medium, and who made its bundles, before any is
// put into the store.
func (m *mirrorStore) takeIn(ctx context.Context, in *intake, dryRun bool) ([]importedDoc, error) {
	in.stick.held = m.held(ctx, in.feeds)
	type followed struct {
		follower *feed.Follower
		state    *feed.State
	}
	var all []followed
	for _, id := range in.feeds {
		place := m.behind(in.stick)
		f, state, report, err := m.sync(ctx, &conn{place: place, name: in.conn.name, stick: in.stick, late: true}, id)
		if err != nil {
			return nil, err
		}
		in.late[id] = report.Late > 0
		if err := m.reaches(ctx, place, in.conn.name, state); err != nil {
			return nil, err
		}
		all = append(all, followed{f, state})
	}
	if err := in.authenticate(ctx, nil); err != nil {
		return nil, err
	}
	docs := []importedDoc{}
	for _, f := range all {
		doc := importedDoc{Feed: f.state.ID.String(), To: f.state.Edge.Size(), Root: f.state.Edge.Root().String(), DryRun: dryRun}
		if !dryRun {
			bar := m.progress("storing packages of " + f.state.ID.String())
			f.follower.Reading = bar.reading(0)
			got, err := m.server.Mirror(ctx, server.Operator, f.follower, f.state)
			f.follower.Reading = nil
			bar.end()
			if err != nil {
				return docs, err
			}
			doc.From, doc.To, doc.Packages, doc.Missing = got.Before, got.Now, got.Packages, got.Missing
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

// reaches checks that a late medium and the store together have all that was
// accepted here: less of a feed is no mirror of it.
func (m *mirrorStore) reaches(ctx context.Context, from *behind, name string, s *feed.State) error {
	stored, err := from.have(ctx, s.ID)
	if err != nil {
		return err
	}
	newest, err := from.place.Checkpoint(ctx, s.ID)
	if err != nil || max(stored, newest.Size) >= s.Edge.Size() {
		return err
	}
	return &failure{code: exitNoBase, what: fmt.Sprintf("feed %s: %d entries were accepted here, and %s with what %s holds has %d",
		s.ID, s.Edge.Size(), name, m.store.Name, max(stored, newest.Size)),
		hint: "name all media up to the newest, with commas, or have one made that carries all: airlock bundle create --full"}
}

func importedTable(w io.Writer, docs []importedDoc) {
	for _, d := range docs {
		if d.DryRun {
			fmt.Fprintf(w, "%s: %s verified; nothing was stored: --dry-run\n", d.Feed, count(int(d.To), "entry", "entries"))
			continue
		}
		fmt.Fprintf(w, "%s: %s, %d new; payloads of %s stored", d.Feed, count(int(d.To), "entry", "entries"), d.To-d.From, count(d.Packages, "package", "packages"))
		if d.Missing > 0 {
			fmt.Fprintf(w, ", of %d not there yet", d.Missing)
		}
		fmt.Fprintln(w)
	}
}

// held opens payloads that the store has, on which deltas build.
func (m *mirrorStore) held(ctx context.Context, ids []feed.ID) func(storage.Digest) (io.ReaderAt, int64, io.Closer, error) {
	return func(payload storage.Digest) (io.ReaderAt, int64, io.Closer, error) {
		for _, id := range ids {
			objects := m.store.Objects(id.Space.String())
			info, err := objects.Stat(ctx, payload)
			if err == nil {
				return objectAt{ctx, objects, payload}, info.Size, io.NopCloser(nil), nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return nil, 0, nil, err
			}
		}
		return nil, 0, nil, fmt.Errorf("%s does not hold it", m.store.Name)
	}
}

// objectAt reads an object at any offset.
type objectAt struct {
	ctx     context.Context //nolint:containedctx // an io.ReaderAt has no other way to one
	objects storage.Objects
	digest  storage.Digest
}

func (o objectAt) ReadAt(p []byte, off int64) (int, error) {
	r, err := o.objects.Get(o.ctx, o.digest, off)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	n, err := io.ReadFull(r, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}
