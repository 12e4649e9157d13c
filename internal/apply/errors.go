package apply

import (
	"errors"
	"fmt"

	"airlock/feed"
	"airlock/trust"
)

// OccupiedError reports files in the way: not written by Airlock, or changed
// since. It comes before anything is changed.
type OccupiedError struct {
	Dir  string // the folder pulled into
	Path string // in Dir, slash-separated; the first one by name
	Why  string
	// Forcible says that the file is Airlock's own and Dir.Force replaces it.
	Forcible bool
	More     int // how many others are in the way
}

func (e *OccupiedError) Error() string {
	more := ""
	if e.More > 0 {
		more = fmt.Sprintf(" (and %d more files are in the way)", e.More)
	}
	return fmt.Sprintf("%s in %s: %s%s", e.Path, e.Dir, e.Why, more)
}

// Hint is what to do next.
func (e *OccupiedError) Hint() string {
	if e.Forcible {
		return "keep your change elsewhere and pull again, or replace the file with --force"
	}
	return "move " + e.Path + " out of " + e.Dir + " and pull again, or pull into another folder"
}

// OwnedError reports a package whose place belongs to a package of another
// feed. It comes before anything is changed.
type OwnedError struct {
	Dir         string
	Ref         feed.Ref
	Feed, Other feed.ID
}

func (e *OwnedError) Error() string {
	return fmt.Sprintf("%s of feed %s: %s/%s in %s is of feed %s", e.Ref, e.Feed, e.Ref.Kind, e.Ref.Name, e.Dir, e.Other)
}

// Hint is what to do next.
func (e *OwnedError) Hint() string { return "pull " + e.Feed.String() + " into a folder of its own" }

// BusyError reports another process that works in the same folder.
type BusyError struct{ Dir string }

func (e *BusyError) Error() string { return e.Dir + ": another airlock is writing there" }

// Hint is what to do next.
func (e *BusyError) Hint() string { return "wait until the other pull is done and pull again" }

// ChangedError reports a target that changed between plan and apply.
type ChangedError struct {
	ID           feed.ID
	Name         string
	Planned, Now string // versions installed; empty for none
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("feed %s: %s is %s by now, the plan was made for %s", e.ID, e.Name, orNone(e.Now), orNone(e.Planned))
}

// Hint is what to do next.
func (e *ChangedError) Hint() string { return "another pull was faster, pull again" }

func orNone(version string) string {
	if version == "" {
		return "not there"
	}
	return "version " + written(version)
}

// HeadError reports a feed that may not be applied to a target because of
// what was applied before. It matches trust.ErrUntrusted if the feed is of
// another lineage, feed.ErrForked if it has another history.
type HeadError struct {
	ID        feed.ID
	Have, Got Head
}

func (e *HeadError) Error() string {
	switch {
	case e.otherSpace():
		return fmt.Sprintf("feed %s: was of lineage %s when it was applied last, now it is of %s: another Space by the same name", e.ID, e.Have.Lineage, e.Got.Lineage)
	case e.forked():
		return fmt.Sprintf("feed %s: at size %d its root was %s when it was applied, now it is %s: its history is another", e.ID, e.Have.Size, e.Have.Root, e.Got.Root)
	}
	return fmt.Sprintf("feed %s: was applied up to epoch %d size %d and is not taken back to epoch %d size %d", e.ID, e.Have.Epoch, e.Have.Size, e.Got.Epoch, e.Got.Size)
}

// Is matches what a *HeadError stands for.
func (e *HeadError) Is(target error) bool {
	return target == trust.ErrUntrusted && e.otherSpace() || target == feed.ErrForked && e.forked()
}

func (e *HeadError) otherSpace() bool { return e.Have.Lineage != e.Got.Lineage }
func (e *HeadError) forked() bool {
	return e.Have.Epoch == e.Got.Epoch && e.Have.Size == e.Got.Size && e.Have.Root != e.Got.Root
}

// checkHead holds the head to be applied against the one that was. The
// follower keeps what a home has seen; several homes may share a target.
func checkHead(id feed.ID, have, got Head) error {
	if have == (Head{}) {
		return nil
	}
	e := &HeadError{ID: id, Have: have, Got: got}
	older := got.Epoch < have.Epoch || got.Epoch == have.Epoch && got.Size < have.Size
	if e.otherSpace() || e.forked() || older {
		return e
	}
	return nil
}

// UnfinishedError reports a sync that stopped while files were moved to their
// places. Which are to be moved is written down; the next pull goes on.
type UnfinishedError struct {
	Dir string
	Err error
}

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("%s is between two states: %v", e.Dir, e.Err)
}

// Unwrap returns what stopped the sync.
func (e *UnfinishedError) Unwrap() error { return e.Err }

// Hint is what to do next.
func (e *UnfinishedError) Hint() string {
	var in *OccupiedError
	if errors.As(e.Err, &in) {
		return in.Hint()
	}
	return "remove the cause and pull again: it goes on where it stopped"
}

// IncompleteError reports updates that a program did not take. They are tried
// again with the next sync.
type IncompleteError struct {
	ID            feed.ID
	Failed, Total int
	First         error
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("feed %s: %d of %d updates were not applied, the first: %v", e.ID, e.Failed, e.Total, e.First)
}

// Unwrap returns the first failure.
func (e *IncompleteError) Unwrap() error { return e.First }
