package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"airlock/feed"
	"airlock/feed/log"
	"airlock/internal/server"
	"airlock/storage"
)

// lowSpace is how much free space is worth a warning, in bytes; noSpace is
// where commands begin to fail.
const (
	lowSpace = 1 << 30
	noSpace  = 16 << 20
)

// free looks at the disk that a folder is on.
func (c *checkup) free(check, dir string) {
	free, ok := storage.FreeSpace(dir)
	switch {
	case !ok:
		return
	case free < noSpace:
		c.say(checkFail, check, "make room", "%s free where %s is", size(free), dir)
	case free < lowSpace:
		c.say(checkWarn, check, "make room soon", "%s free where %s is", size(free), dir)
	default:
		c.ok(check, "%s free where %s is", size(free), dir)
	}
}

// source looks at the store, or at the servers: at each of several for itself, as
// commands make do with one that answers.
func (c *checkup) source(ctx context.Context, from string) {
	store := c.store
	if from != "" && !strings.HasPrefix(from, "http://") && !strings.HasPrefix(from, "https://") {
		store = from
	}
	if from == "" && c.server == "" {
		store = cmp.Or(store, c.kept)
	}
	if store != "" {
		if c.storeItself(ctx, store) {
			c.feedsAt(ctx, "store", store)
		}
		return
	}
	for one := range strings.SplitSeq(cmp.Or(from, c.server), ",") {
		c.feedsAt(ctx, "server", one)
	}
}

// feedsAt asks a place for its feeds, and by which key they are signed.
func (c *checkup) feedsAt(ctx context.Context, check, from string) {
	at, err := c.from(ctx, from)
	if err != nil {
		_, hint := outcomeOf(err)
		c.say(checkFail, check, hint, "%v", err)
		return
	}
	defer at.Close()
	ids, err := at.Feeds(ctx)
	if err != nil && check == "server" && from == "" {
		c.say(checkWarn, check, "nothing, where feeds come on media alone; else is a server running (airlock serve), or say --server or --store",
			"none was named, and there is none at %s", at.name)
		return
	}
	if err != nil {
		_, hint := outcomeOf(err)
		c.say(checkFail, check, hint, "%s: %v", at.name, err)
		return
	}
	if !c.lost(ctx, at, from, ids) {
		c.ok(check, "%s has %s", at.name, count(len(ids), "feed", "feeds"))
	}
	c.logKeyOf(ctx, at)
}

// lost looks whether a store lacks all that this home has served, and says so. A home
// that only serves keeps one store. Others write to several, and read what came from
// elsewhere: of theirs only an empty one tells something.
func (c *checkup) lost(ctx context.Context, at *conn, where string, there []feed.ID) bool {
	local, isStore := at.place.(*server.Local)
	if !isStore || where != c.kept && len(there) > 0 {
		return false
	}
	served := slices.Collect(c.served())
	if !noneOf(served, there) || local.CheckOperator(ctx) != nil {
		return false
	}
	result := checkFail
	if where != c.kept {
		result = checkWarn
	}
	next := otherStoreHint + " Else restore its newest copy; nothing, where it was begun anew on purpose"
	if c.assumed(where) {
		next += "; " + servedElsewhere
	}
	c.say(result, "store", next, "%s", otherStore(at.name, served))
	return true
}

const servedElsewhere = "where airlock serve was given another store, as by its --config, say " + toNameStore

// assumed reports whether a store is looked at as nobody said where it is.
func (c *checkup) assumed(where string) bool { return where == c.kept && c.store == "" }

// noStore says that there is none, and of that which the home keeps what should be there.
func (c *checkup) noStore(where string) string {
	what := "there is no store in " + where
	if where != c.kept {
		return what
	}
	if served := slices.Collect(c.served()); len(served) > 0 {
		what += ", and this home has served " + count(len(served), "feed", "feeds")
	}
	return what
}

// storeItself opens a store, which tries a bucket's conditional writes. It
// makes no folder.
func (c *checkup) storeItself(ctx context.Context, where string) bool {
	s, err := storage.OpenExisting(ctx, where, c.getenv)
	if errors.Is(err, storage.ErrNoStore) {
		next := "check the path; airlock serve, or the first airlock publish, makes a store there"
		if c.assumed(where) {
			next = servedElsewhere + "; else it makes one there"
		}
		c.say(checkWarn, "store", next, "%s", c.noStore(where))
		return false
	}
	if !strings.HasPrefix(where, "s3://") {
		c.free("store disk", where)
	}
	if err != nil {
		_, hint := outcomeOf(err)
		c.say(checkFail, "store", hint, "%v", err)
		return false
	}
	defer s.Close()
	if why := s.Exclusive; why != "" {
		c.say(checkWarn, "store", "let only one server write there, or use a store that honours If-Match and If-None-Match", "conditional writes: %s", why)
		return true
	}
	if why := s.Untried; why != "" {
		c.say(checkWarn, "store", "make room there, or look at its permissions, and run airlock doctor again", "%s", why)
		return true
	}
	c.ok("store", "honours conditional writes: several servers may write")
	return true
}

// logKeyOf looks at who signs checkpoints there.
func (c *checkup) logKeyOf(ctx context.Context, at *conn) {
	key, err := at.LogKey(ctx)
	switch {
	case errors.Is(err, log.ErrForeignKey):
		c.ok("log key", "this home holds none: the store is only read")
	case err != nil:
		_, hint := outcomeOf(err)
		c.say(checkWarn, "log key", hint, "%s: %v", at.name, err)
	default:
		c.ours(ctx, at, logKeyName(key))
	}
}

// ours holds the log key of this home against the store. A server would not start
// with another one than the store is written with; a Space may read it all the same.
func (c *checkup) ours(ctx context.Context, at *conn, key string) {
	local, isStore := at.place.(*server.Local)
	if !isStore {
		c.ok("log key", "%s", key)
		return
	}
	err := local.CheckOperator(ctx)
	switch {
	case err == nil:
		c.ok("log key", "%s", key)
	case as[*log.OperatorError](err) && c.kept == "":
		c.say(checkWarn, "log key", "nothing, where it is only read; to publish there say --server URL", "%v", err)
	case as[*log.OperatorError](err):
		c.say(checkFail, "log key", "restore the keys/log.key with which this store is written, or name the store of this home (--store)", "%v", err)
	default:
		_, hint := outcomeOf(err)
		c.say(checkFail, "log key", hint, "%v", err)
	}
}
