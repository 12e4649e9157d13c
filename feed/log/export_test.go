package log

import "airlock/storage"

// Queued is the number of requests that wait for the committer.
func (l *Log) Queued() int { return len(l.queue) }

// WithStoredOf says of a submission that it lies where another does.
func WithStoredOf(s, other Submission) Submission {
	s.stored = other.stored
	return s
}

// The form of the lists of named objects.
var (
	FormatNamed = formatNamed
	ParseNamed  = parseNamed
)

// Spoken is what some entries speak of.
func Spoken(publications, bytes int64, named []storage.Ref) spoken {
	s := spoken{publications: publications, bytes: bytes, named: named}
	s.sort()
	return s
}
