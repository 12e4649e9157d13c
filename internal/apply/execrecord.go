package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// record is what a program took of a feed: the cell
// applied/<organisation>/<space>/<feed>/<target> in the home's store.
type record struct {
	store    *storage.Store
	key      string
	tag      string
	doc      feedDoc
	items    map[string]Item       // by kind and name
	failures map[string]failureDoc // likewise

	// What this process has found out; it is put on top of what another may
	// have kept meanwhile.
	changes map[string]func(r *record)
	head    *Head
}

// execDoc is the value of the cell.
type execDoc struct {
	Format string  `json:"format"`
	Record feedDoc `json:"record"`
	Target string  `json:"target"`
}

const execFormat = "airlock-applied 1"

// Failure is an update that the program did not take.
type Failure struct {
	Ref   feed.Ref
	Op    Op
	Index int64
	When  time.Time
	Why   string
}

// Failures returns the updates that will be tried again.
func (e *Exec) Failures(ctx context.Context, id feed.ID) ([]Failure, error) {
	r, err := e.load(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []Failure
	for _, d := range r.doc.Failed {
		when, err := signing.ParseTime(d.When)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.key, err)
		}
		out = append(out, Failure{feed.Ref{Kind: d.Kind, Name: d.Name, Version: d.Version}, d.Op, d.Index, when, d.Why})
	}
	return out, nil
}

// RecordName returns the name under which a home keeps what the program with a
// Key took: it says nothing of a command line.
func RecordName(key string) string { return storage.DigestOf([]byte(key)).Hex()[:32] }

// Taken returns what a program took of a feed, by the name of its record.
func Taken(ctx context.Context, state *storage.Store, id feed.ID, name string) ([]Item, error) {
	r, err := loadRecord(ctx, state, id, name)
	if err != nil {
		return nil, err
	}
	return r.doc.items(), nil
}

func (e *Exec) load(ctx context.Context, id feed.ID) (*record, error) {
	return loadRecord(ctx, e.State, id, RecordName(e.Key))
}

func loadRecord(ctx context.Context, state *storage.Store, id feed.ID, name string) (*record, error) {
	r := &record{store: state, key: "applied/" + id.String() + "/" + name, doc: feedDoc{Feed: id}, changes: map[string]func(*record){}}
	return r, r.load(ctx)
}

// taken returns what the program took, by the entries.
func (r *record) taken() []Item {
	return slices.SortedFunc(maps.Values(r.items), func(a, b Item) int { return cmp.Compare(a.Index, b.Index) })
}

// load reads the cell; one that is not there is empty.
func (r *record) load(ctx context.Context) error {
	value, tag, err := r.store.Cells.Load(ctx, r.key)
	doc := feedDoc{Feed: r.doc.Feed}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("what was applied of feed %s: %w", r.doc.Feed, err)
	default:
		if doc, err = parseExec(r.key, value); err != nil {
			return err
		}
		if doc.Feed != r.doc.Feed {
			return fmt.Errorf("%s: is of feed %s", r.key, doc.Feed)
		}
	}
	r.doc, r.tag = doc, tag
	r.items = byName(doc.items())
	r.failures = map[string]failureDoc{}
	for _, f := range doc.Failed {
		r.failures[f.Kind+"/"+f.Name] = f
	}
	return nil
}

// parseExec reads the cell's value; where is its name in errors.
func parseExec(where string, b []byte) (feedDoc, error) {
	var d execDoc
	if err := signing.UnmarshalCanonical(b, &d); err != nil {
		return feedDoc{}, fmt.Errorf("%s: %w", where, err)
	}
	if d.Format != execFormat {
		return feedDoc{}, &storage.FormatError{Where: where, Got: d.Format, Want: execFormat}
	}
	if err := d.Record.check(); err != nil {
		return feedDoc{}, fmt.Errorf("%s: %w", where, err)
	}
	return d.Record, nil
}

// set notes that the program took a version, or with nil that it took the
// removal.
func (r *record) set(name string, it *Item) {
	r.apply(name, func(r *record) {
		delete(r.failures, name)
		if it == nil {
			delete(r.items, name)
			return
		}
		r.items[name] = *it
	})
}

// fail notes an update that the program did not take.
func (r *record) fail(a Action, why error, now time.Time) {
	d := failureDoc{
		Index: a.Row.Index, Kind: a.Ref.Kind, Name: a.Ref.Name, Op: a.Op, Version: a.Ref.Version,
		When: signing.FormatTime(now), Why: lastLine(why.Error()),
	}
	r.apply(nameOf(a.Ref), func(r *record) { r.failures[nameOf(a.Ref)] = d })
}

func (r *record) apply(name string, change func(*record)) {
	r.changes[name] = change
	change(r)
}

// reached notes that all up to a head was applied.
func (r *record) reached(h Head) {
	if r.doc.head() != h {
		r.head = &h
	}
}

// keep writes the record if there is anything new. Where another process kept
// one meanwhile, what is new goes on top of it.
func (r *record) keep(ctx context.Context, now time.Time) error {
	if len(r.changes) == 0 && r.head == nil {
		return nil
	}
	for range 20 {
		value, err := r.format(now)
		if err != nil {
			return err
		}
		tag, err := r.store.Cells.Swap(ctx, r.key, r.tag, value)
		if err == nil {
			r.tag, r.head = tag, nil
			clear(r.changes)
			return nil
		}
		if !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrUnclear) {
			return fmt.Errorf("what was applied of feed %s: %w", r.doc.Feed, err)
		}
		if err := r.load(ctx); err != nil {
			return err
		}
		for _, change := range r.changes {
			change(r)
		}
	}
	return fmt.Errorf("what was applied of feed %s: %w", r.doc.Feed, storage.ErrConflict)
}

func (r *record) format(now time.Time) ([]byte, error) {
	doc := r.doc
	if r.head != nil && checkHead(doc.Feed, doc.head(), *r.head) == nil {
		doc.setHead(*r.head)
	}
	doc.setItems(r.items)
	doc.Failed = nil
	for _, f := range r.failures {
		doc.Failed = append(doc.Failed, f)
	}
	slices.SortFunc(doc.Failed, func(a, b failureDoc) int {
		return strings.Compare(a.Kind+"/"+a.Name, b.Kind+"/"+b.Name)
	})
	doc.When = signing.FormatTime(now)
	r.doc = doc
	_, target, _ := strings.Cut(r.key, doc.Feed.String()+"/")
	return format(execDoc{Format: execFormat, Record: doc, Target: target})
}
