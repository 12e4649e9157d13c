package feed

import (
	"fmt"

	"airlock/signing"
	"airlock/storage"
)

// Check applies the rules of a log to what would be the next entry: nil, or
// the reason for which it is void.
func (x *Index) Check(e Entry) error { return x.check(e, x.State) }

// CheckBut is Check for an index whose rows say what is a link, and not what
// counts: revoked tells which rows a revocation voids, nil where there are none.
func (x *Index) CheckBut(e Entry, revoked func(Row) bool) error {
	return x.check(e, func(r Ref) (Row, bool) {
		if have, ok := x.State(r); !ok {
			return have, false
		}
		return x.stateBut(r, revoked)
	})
}

func (x *Index) check(e Entry, state func(Ref) (Row, bool)) error {
	if i, ok := x.Holds(e.ID); ok {
		return &RepeatedError{ID: e.ID, Index: i}
	}
	if !e.isPackage() {
		return nil
	}
	have, ok := state(e.Ref)
	if err := checkVersion(e, have, ok); err != nil {
		return err
	}
	return x.checkChain(e)
}

// checkVersion holds rule 4.4 against the state of a version: kind/name@version
// never changes its meaning, and withdrawn is final.
func checkVersion(e Entry, have Row, ok bool) error {
	withdrawing := e.What == IsWithdrawal
	if !withdrawing && !ok || withdrawing && ok && have.What == IsPublication && have.Manifest == e.Manifest {
		return nil
	}
	return &VersionError{Ref: e.Ref, Have: have.Manifest, Got: e.Manifest, Index: have.Index, Withdrawn: have.What == IsWithdrawal, Withdrawing: withdrawing}
}

// Follows reports whether a publication or withdrawal would be a link, were it
// the next entry.
func (x *Index) Follows(e Entry) bool {
	_, held := x.Holds(e.ID)
	return !held && e.isPackage() && x.checkChain(e) == nil
}

// stateBut is State where the rows are links. Those about the version are taken
// one after the other, since what went against rule 4.4 with a revoked one
// before it may not do so without, and the other way round.
func (x *Index) stateBut(ref Ref, revoked func(Row) bool) (state Row, ok bool) {
	for _, r := range x.about(ref) {
		if (revoked == nil || !revoked(r)) && checkVersion(Entry{What: r.What, Manifest: r.Manifest}, state, ok) == nil {
			state, ok = r, true
		}
	}
	return state, ok
}

// about returns the rows about a version that are not void, in order.
func (x *Index) about(ref Ref) (rows []Row) {
	key := appendVersion(nil, ref)
	if x.parent != nil {
		rows = x.parent.about(ref)
	}
	if len(x.pages) > 0 {
		hash := hashKey(key)
		for n, p := range x.pages {
			for _, i := range p.all(byVersion, key, hash) {
				rows = append(rows, x.Row(int64(n)*PageSize+int64(i)))
			}
		}
	}
	if _, ok := x.versions[string(key)]; ok {
		for i := range x.rows {
			r := &x.rows[i]
			if r.Ref.Name == ref.Name && r.counts() && versionKey(r.Ref) == string(key) {
				rows = append(rows, *r)
			}
		}
	}
	return rows
}

// checkChain holds rule 4.3: a statement names the link it follows.
func (x *Index) checkChain(e Entry) error {
	head, ok := x.Head(e.Ref.Kind, e.Ref.Name)
	if ok == (e.Previous != nil) && (!ok || head.ID == *e.Previous) {
		return nil
	}
	err := &ChainError{Ref: e.Ref, Previous: e.Previous}
	if ok {
		err.Head, err.HeadIndex = &head.ID, head.Index
	}
	return err
}

// RepeatedError reports a statement that the feed holds already.
type RepeatedError struct {
	ID    signing.ID
	Index int64
}

func (e *RepeatedError) Error() string {
	return fmt.Sprintf("statement %s is entry %d already", e.ID, e.Index)
}

// VersionError reports a version that has a content already, was withdrawn, or
// (when withdrawing) is not there to be withdrawn.
type VersionError struct {
	Ref         Ref
	Have, Got   storage.Digest // manifests; Have is zero where there is none
	Index       int64          // the entry with Have
	Withdrawn   bool
	Withdrawing bool
}

func (e *VersionError) Error() string {
	switch {
	case e.Have.IsZero():
		return fmt.Sprintf("%s was never published here", e.Ref)
	case e.Withdrawn:
		return fmt.Sprintf("%s was withdrawn by entry %d, which is final", e.Ref, e.Index)
	case e.Withdrawing:
		return fmt.Sprintf("%s is %s (entry %d), not %s", e.Ref, e.Have, e.Index, e.Got)
	case e.Have == e.Got:
		return fmt.Sprintf("%s was published by entry %d already", e.Ref, e.Index)
	}
	return fmt.Sprintf("%s is %s already (entry %d) and cannot become %s", e.Ref, e.Have, e.Index, e.Got)
}

// ChainError reports a statement that does not follow the head of its name.
type ChainError struct {
	Ref       Ref
	Previous  *signing.ID // what the statement names
	Head      *signing.ID // what it should have named; nil for none
	HeadIndex int64
}

func (e *ChainError) Error() string {
	name := headKey(e.Ref.Kind, e.Ref.Name)
	if e.Head == nil {
		return fmt.Sprintf("%s names a previous statement, and there is none about %s", e.Ref, name)
	}
	return fmt.Sprintf("%s does not follow the newest statement about %s, %s (entry %d)", e.Ref, name, *e.Head, e.HeadIndex)
}
