package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// ErrMalformed reports bytes that are no bundle of this version, or not one
// that a program of ours writes. Nothing of them is used.
var ErrMalformed = errors.New("no bundle that can be read")

type malformedError struct{ err error }

// malformed makes an error that matches ErrMalformed, unless what it wraps says
// that bytes could not be read at all.
func malformed(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if unreadable(err) {
		return err
	}
	return &malformedError{err}
}

// unreadable matches what an operating system says of a medium that is gone or
// fails.
func unreadable(err error) bool {
	_, is := errors.AsType[*fs.PathError](err)
	return is
}

func (e *malformedError) Error() string   { return e.err.Error() }
func (e *malformedError) Unwrap() []error { return []error{ErrMalformed, e.err} }

// MissingVolumeError reports volumes of a bundle that are not here and are
// needed.
type MissingVolumeError struct {
	ID      ID
	Volumes []int // counted from 1
	Count   int
	// Repairable reports that parity brings them back.
	Repairable bool
}

func (e *MissingVolumeError) Error() string {
	return fmt.Sprintf("bundle %s: %s of %d %s missing", e.ID.Short(), numbers("volume", e.Volumes), e.Count, isAre(len(e.Volumes)))
}

// Hint says what to do next.
func (e *MissingVolumeError) Hint() string {
	if e.Repairable {
		return "airlock bundle repair makes them again from what is here"
	}
	return "bring the missing volumes, in any folder: airlock takes several paths"
}

// Damage is what of a volume is not as the document has it.
type Damage struct {
	Volume int // counted from 1
	File   string
	Blocks []int64 // of the volume, counted from 0
	// Frame is set where what lies around the data is damaged: the manifests,
	// the tar headers, or the size of the file.
	Frame bool
}

// DamagedError reports volumes that were damaged.
type DamagedError struct {
	ID      ID
	Volumes []Damage
	// Repairable reports that what is here suffices to make it whole again.
	Repairable bool
}

func (e *DamagedError) Error() string {
	var what []string
	for _, d := range e.Volumes {
		text := fmt.Sprintf("volume %d (%s)", d.Volume, d.File)
		if len(d.Blocks) > 0 {
			text += ", " + numbers("block", d.Blocks)
		}
		what = append(what, text)
	}
	return fmt.Sprintf("bundle %s: %s %s damaged", e.ID.Short(), strings.Join(what, "; "), isAre(len(e.Volumes)))
}

// Hint says what to do next.
func (e *DamagedError) Hint() string {
	if e.Repairable {
		return "airlock bundle repair makes it whole again from what is here"
	}
	return "it cannot be repaired from what is here: copy the volume again from where it came, or have a new bundle made"
}

// BaseError reports a payload that the bundle does not carry since the receiver
// was to have it, and that is not here.
type BaseError struct {
	ID      ID
	Payload storage.Digest
	Err     error
}

func (e *BaseError) Error() string {
	return fmt.Sprintf("bundle %s: payload %s is not carried, for the receiver was to have it: %v", e.ID.Short(), e.Payload, e.Err)
}

func (e *BaseError) Unwrap() error { return e.Err }

// AudienceError reports a bundle for another Space.
type AudienceError struct {
	For  Party
	Ours trust.Lineage
}

func (e *AudienceError) Error() string {
	return fmt.Sprintf("the bundle was made for %s, lineage %s, and this is lineage %s", e.For.Space, e.For.Lineage, e.Ours)
}

// ExpiredError reports a bundle that should have been taken in earlier.
type ExpiredError struct{ Until time.Time }

func (e *ExpiredError) Error() string { return "the bundle expired on " + signing.FormatTime(e.Until) }

// SeveralError reports folders with more than one bundle where one was to be
// opened.
type SeveralError struct{ Sets []*Set }

func (e *SeveralError) Error() string {
	var names []string
	for _, s := range e.Sets {
		names = append(names, s.ID.Short())
	}
	return fmt.Sprintf("there are %d bundles here: %s", len(e.Sets), strings.Join(names, ", "))
}

// Hint says what to do next.
func (e *SeveralError) Hint() string {
	first := e.Sets[0]
	i := slices.IndexFunc(first.Volumes, func(path string) bool { return path != "" })
	return "name the volumes of one of them, such as " + filepath.Join(filepath.Dir(first.Volumes[i]), "*"+first.ID.Short()+Extension)
}

// numbers returns "volume 3" or "volumes 3, 4", and no more than eight.
func numbers[N int | int64](what string, list []N) string {
	const most = 8
	if len(list) != 1 {
		what += "s"
	}
	text := strings.Trim(strings.ReplaceAll(fmt.Sprint(list[:min(len(list), most)]), " ", ", "), "[]")
	if len(list) > most {
		text += fmt.Sprintf(" and %d more", len(list)-most)
	}
	return what + " " + text
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// AheadError reports a receiver that has more of a feed than we do.
type AheadError struct {
	Feed         interface{ String() string }
	Theirs, Ours int64
}

func (e *AheadError) Error() string {
	return fmt.Sprintf("feed %s: the receiver has %d entries, and here are %d", e.Feed, e.Theirs, e.Ours)
}

// VolumeSizeError reports volumes too small for anything to be in them, in
// bytes.
type VolumeSizeError struct{ Limit, Least int64 }

func (e *VolumeSizeError) Error() string {
	return fmt.Sprintf("volumes of %d bytes are too small for this bundle, they need at least %d", e.Limit, e.Least)
}
