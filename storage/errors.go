package storage

import (
	"errors"
	"fmt"
)

// Sentinels on which callers branch. Absence is fs.ErrNotExist.
var (
	ErrConflict = errors.New("changed by another writer")
	ErrUnclear  = errors.New("outcome unknown, the answer was lost")
	ErrExists   = errors.New("exists with other content")
	ErrRange    = errors.New("offset beyond the end")
	ErrNoSpace  = errors.New("no room left")
	// ErrAway reports a store that is reached over a network and does not answer,
	// or answers that it cannot.
	ErrAway     = errors.New("the store does not answer")
	ErrNoBucket = errors.New("there is no such bucket")
)

// SettingError reports a store that cannot be opened as it is named, or as the
// environment says how it is reached.
type SettingError struct {
	Why, Do string
}

func (e *SettingError) Error() string { return e.Why }

// Hint says what to do.
func (e *SettingError) Hint() string { return e.Do }

// DigestError reports bytes that are not those asked for.
type DigestError struct {
	Want, Got Digest
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("content is %s, not %s", e.Got, e.Want)
}

// SizeError reports an object of another size than announced, in bytes. Got is
// the count when reading stopped; there may have been more.
type SizeError struct {
	Digest    Digest
	Want, Got int64
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("object %s has %d bytes, not %d", e.Digest, e.Got, e.Want)
}

// KeyError reports a key outside the rule of Files.
type KeyError struct {
	Key, Rule string
}

func (e *KeyError) Error() string { return fmt.Sprintf("key %.120q: %s", e.Key, e.Rule) }

// FormatError reports a store or home that this version does not know.
type FormatError struct {
	Where, Got, Want string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s has format %.60q, this version knows %q", e.Where, e.Got, e.Want)
}
