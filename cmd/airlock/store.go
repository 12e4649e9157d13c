package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"airlock/feed"
	"airlock/feed/log"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/storage"
)

// access is what a command does with a store.
type access int

const (
	reading    access = iota // and makes nothing
	planning                 // reading a store that publishing would make
	changing                 // as its operator, and makes none
	publishing               // as its operator
)

// changingUnless is what a command does that --dry-run keeps from changing anything.
func changingUnless(dryRun bool) access {
	if dryRun {
		return reading
	}
	return changing
}

// openStore runs the server's own code in this process.
func (a *app) openStore(ctx context.Context, where string, to access) (*conn, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	store, err := a.openStorage(ctx, where, to)
	if err != nil {
		return nil, err
	}
	key, err := a.storeKey(ctx, h, store, to)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	logger := a.logger(slog.LevelWarn)
	floor, err := h.NewFloor(ctx, logger)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	srv := server.New(server.Config{Store: store, LogKey: key, Floor: floor, Logger: logger, Fresh: 200 * time.Millisecond,
		Recheck: 250 * time.Millisecond, Now: a.now})
	c := &conn{place: srv.Local(), name: store.Name, close: func() error {
		err := srv.Close()
		floor.Close()
		return errors.Join(err, store.Close())
	}}
	if to == publishing {
		if err := a.admitSelf(ctx, srv, h); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// openStorage opens a store. Only publishing makes one.
func (a *app) openStorage(ctx context.Context, where string, to access) (*storage.Store, error) {
	store, err := a.openPlace(ctx, where, to)
	if err != nil {
		return nil, err
	}
	return storage.Chunked(store), nil
}

// openPlace is openStorage without what lies above the place that keeps things.
func (a *app) openPlace(ctx context.Context, where string, to access) (*storage.Store, error) {
	open := storage.OpenExisting
	if to == publishing {
		open = storage.Open
	}
	store, err := open(ctx, where, a.getenv)
	switch {
	case errors.Is(err, storage.ErrNoStore) && to == planning:
		empty := storage.NewMem()
		empty.Name = where
		return empty, nil
	case err != nil:
		return nil, notOpened(where, err)
	}
	return store, nil
}

// notOpened says why a store could not be opened.
func notOpened(where string, err error) error {
	if errors.Is(err, storage.ErrNoStore) {
		return &failure{code: exitUsage, cause: err, what: "there is no store in " + where, hint: "check the path, and that the medium is mounted; airlock serve and airlock publish --store make a store"}
	}
	return wrongFolder("store", where, err)
}

// toNameStore is where a store is named for all commands.
const toNameStore = "--store (or AIRLOCK_STORE, or store in config.yaml of the home)"

// keptElsewhere is the next step where the home keeps no store of its own and none was
// named.
func (a *app) keptElsewhere(err error) error {
	if a.store != "" || !errors.Is(err, storage.ErrNoStore) {
		return err
	}
	return hinted(err, err.Error(), "say which store it is: --config FILE with the settings of airlock serve, or "+toNameStore+"; airlock serve makes one there")
}

// wrongFolder says what a folder is that was named as a store or home and is
// none that this version knows.
func wrongFolder(want, path string, err error) error {
	f, ok := errors.AsType[*storage.FormatError](err)
	if !ok {
		return err
	}
	is := ""
	for _, kind := range []string{"home", "store"} {
		if strings.HasPrefix(f.Got, "airlock-"+kind) {
			is = kind
		}
	}
	switch is {
	case want:
		hint := "update airlock, or name another folder with --" + want
		if f.Got == storage.Earlier {
			hint = "stop the servers of the earlier version, then airlock server upgrade --store " + path
		}
		return hinted(err, fmt.Sprintf("%s is a %s of format %.60q, this version knows %q", path, want, strings.TrimSpace(f.Got), strings.TrimSpace(f.Want)), hint)
	case "":
		return hinted(err, fmt.Sprintf("%s is no %s of airlock, and it holds other files", path, want),
			"check the path, or name an empty or new folder with --"+want)
	}
	return hinted(err, fmt.Sprintf("%s is a %s of airlock, not a %s", path, is, want),
		"say --"+is+" for this folder and --"+want+" for another one")
}

// isAirlocks reports whether a folder is a home or a store.
func isAirlocks(dir string) bool {
	b, err := home.ReadFile(filepath.Join(dir, "format"), 100)
	return err == nil && strings.HasPrefix(string(b), "airlock-")
}

// storeKey returns the log key with which the home works on a store; none is
// fine for reading. A home without one gets one, but not for a store that somebody
// else writes: nobody else could continue such a feed.
func (a *app) storeKey(ctx context.Context, h *home.Home, store *storage.Store, to access) (feed.LogKey, error) {
	key, err := h.LogKey()
	if errors.Is(err, fs.ErrNotExist) {
		key, err = feed.LogKey{}, nil
	}
	if err != nil || to == reading {
		return key, err
	}
	logs := log.New(log.Config{Store: store, Key: key})
	defer logs.Close()
	if err := logs.CheckOperator(ctx); err != nil || to == planning || !key.IsZero() {
		return key, err
	}
	key, created, err := h.EnsureLogKey()
	if created {
		a.note("made a log key in %s: back it up, the store is only written with it", h.Path())
	}
	return key, err
}

// admitSelf admits the home's own Space: who holds the operator's key and the
// Space's key needs nobody's leave.
func (a *app) admitSelf(ctx context.Context, srv *server.Server, h *home.Home) error {
	own, err := h.Identity()
	if err != nil {
		return err
	}
	return srv.AdmitSelf(ctx, own)
}
