package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"airlock/feed"
	"airlock/storage"
)

// Exec hands each update to a program: one at a time, in the order of the
// feed's entries. The program finds the update in its environment
//
//	AIRLOCK_UPDATE_ID         32 hexadecimal digits: the same whenever the program
//	                   sees this update, whoever hands it out
//	AIRLOCK_UPDATE_FENCE      of agents that share the work (see Sharing), a number
//	                   that grows with each that takes over; else empty
//	AIRLOCK_UPDATE_OP         add, change or remove
//	AIRLOCK_UPDATE_FEED       <organisation>/<space>/<feed>
//	AIRLOCK_UPDATE_KIND       of the package
//	AIRLOCK_UPDATE_NAME       likewise
//	AIRLOCK_UPDATE_VERSION    the new version; for remove, the one that goes
//	AIRLOCK_UPDATE_FROM       the version it took before; empty for add
//	AIRLOCK_UPDATE_INDEX      the entry that is the reason
//	AIRLOCK_UPDATE_STATEMENT  its statement's id
//	AIRLOCK_UPDATE_MANIFEST   the digest of the package's manifest
//	AIRLOCK_UPDATE_DIR        a folder with the package's files, verified, for as
//	                   long as the program runs; empty for remove
//	AIRLOCK_UPDATE_FILE       the path of the first of them
//
// and the same as one line of JSON on its standard input. When it exits with 0
// the update is applied, and that is kept in the home. Otherwise the update is
// tried again with the next sync; the others go on. A program may see an
// update again (when this process died before it could keep what was done),
// and never misses one.
type Exec struct {
	Program
	// State is the home's store, and Key tells the targets of a home apart,
	// such as the command line.
	State *storage.Store
	Key   string
	Now   func() time.Time
	// Sharing says to others who may hand updates to this program what it took of a
	// feed, and which update it is handed next; nil for none, at the end. It returns
	// the fence. After an error nothing more is handed out. nil to tell nobody.
	Sharing func(ctx context.Context, id feed.ID, took []Item, next *Action) (fence int64, err error)
}

var _ Target = (*Exec)(nil)

// keepEvery is how often what was done is kept while updates go on: each time
// the whole record is written.
const keepEvery = time.Second

// Installed returns what the program took of a feed.
func (e *Exec) Installed(ctx context.Context, id feed.ID) ([]Item, error) {
	return Taken(ctx, e.State, id, RecordName(e.Key))
}

// Adopt makes items what the program took of a feed: others who hand updates to it
// said so.
func (e *Exec) Adopt(ctx context.Context, id feed.ID, items []Item) error {
	r, err := e.load(ctx, id)
	if err != nil {
		return err
	}
	there := byName(items)
	for name := range r.items {
		if _, ok := there[name]; !ok {
			r.set(name, nil)
		}
	}
	for name, it := range there {
		if have, ok := r.items[name]; !ok || have.Statement != it.Statement {
			r.set(name, &it)
		}
	}
	return r.keep(ctx, e.Now())
}

// Apply hands over the plans, one feed after the other, whatever became of the
// one before. Where the program did not take all of a feed its error is an
// *IncompleteError, and the outcomes say more. Any other error ends the sync of
// a feed before its end.
func (e *Exec) Apply(ctx context.Context, syncs ...Sync) []Result {
	results := make([]Result, len(syncs))
	for i, s := range syncs {
		results[i].Outcomes, results[i].Err = e.apply(ctx, s)
	}
	return results
}

func (e *Exec) apply(ctx context.Context, s Sync) ([]Outcome, error) {
	r, err := e.load(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	if err := checkHead(s.ID, r.doc.head(), s.To); err != nil {
		return nil, err
	}
	if err := checkPlan(s.ID, s.Plan, r.doc.items()); err != nil {
		return nil, err
	}
	if len(e.Command) == 0 {
		return nil, errors.New("no program to hand updates to")
	}
	r.doc.Lineage = s.To.Lineage // from the first update on, see checkHead
	u := &updater{Exec: e, id: s.ID, record: r, plan: s.Plan, kept: e.Now()}
	err = u.run(ctx, s.Fetch)
	if err == nil && u.failed == 0 {
		r.reached(s.To)
	}
	if e.Sharing != nil && u.told {
		_, sharing := e.Sharing(context.WithoutCancel(ctx), s.ID, r.taken(), nil)
		err = errors.Join(err, sharing)
	}
	// What was done is kept even if people have interrupted us by now.
	if keeping := r.keep(context.WithoutCancel(ctx), e.Now()); keeping != nil {
		return u.outcomes, errors.Join(err, keeping)
	}
	if err == nil && u.failed > 0 {
		err = &IncompleteError{ID: s.ID, Failed: u.failed, Total: u.tried, First: u.first}
	}
	return u.outcomes, err
}

// updater is one Apply of an Exec.
type updater struct {
	*Exec
	id     feed.ID
	record *record
	plan   []Action
	kept   time.Time

	outcomes      []Outcome // of plan, as far as it was done
	tried, failed int
	first         error
	told          bool // others, that something begins
}

// run goes through the plan while packages come in.
func (u *updater) run(ctx context.Context, fetch Fetch) error {
	if rows := rowsToFetch(u.plan); len(rows) > 0 {
		if err := fetch(ctx, rows, func(p *feed.Package) error { return u.upTo(ctx, p) }); err != nil {
			return err
		}
	}
	return u.upTo(ctx, nil)
}

// upTo does what of the plan comes before a package, and then the package;
// with nil it does the rest.
func (u *updater) upTo(ctx context.Context, p *feed.Package) error {
	for len(u.outcomes) < len(u.plan) {
		a := u.plan[len(u.outcomes)]
		if a.fetches() && (p == nil || p.Row != a.Row) {
			return fmt.Errorf("%s: did not come", a.Ref)
		}
		if err := u.one(ctx, a, p); err != nil {
			return err
		}
		if a.fetches() {
			return nil
		}
	}
	if p != nil {
		return fmt.Errorf("%s: came and was not asked for", p.Row.Ref)
	}
	return nil
}

// one carries out an action. An error ends the sync; that the program did not
// take the update is none.
func (u *updater) one(ctx context.Context, a Action, p *feed.Package) error {
	if !a.changes() {
		u.outcomes = append(u.outcomes, Outcome{Action: a})
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	job := u.update(a)
	if a.fetches() {
		folder, err := u.unpack(ctx, p)
		defer os.RemoveAll(folder)
		if err != nil {
			return err
		}
		job.locate(folder, p.Manifest.Layers)
	}
	if u.Sharing != nil {
		fence, err := u.Sharing(ctx, u.id, u.record.taken(), &a)
		if err != nil {
			return err
		}
		job.Fence, u.told = fence, true
	}
	output, err := u.hand(ctx, job)
	if refused := (*ProgramError)(nil); err != nil && !errors.As(err, &refused) {
		return err
	}
	u.outcomes = append(u.outcomes, Outcome{Action: a, Err: err, Output: output})
	u.note(a, p, err)
	if now := u.Now(); now.Sub(u.kept) >= keepEvery {
		u.kept = now
		return u.record.keep(ctx, now)
	}
	return nil
}

// note puts an outcome into the record.
func (u *updater) note(a Action, p *feed.Package, err error) {
	u.tried++
	switch {
	case err != nil:
		if u.failed++; u.first == nil {
			u.first = err
		}
		u.record.fail(a, err, u.Now())
	case a.Op == Remove:
		u.record.set(nameOf(a.Ref), nil)
	default:
		it := itemOf(p, u.Now())
		it.Files = nil
		u.record.set(nameOf(a.Ref), &it)
	}
}
