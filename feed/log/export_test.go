package log

// Queued is the number of requests that wait for the committer.
func (l *Log) Queued() int { return len(l.queue) }

// The form of the lists of named objects.
var (
	FormatNamed = formatNamed
	ParseNamed  = parseNamed
	SortDigests = sortDigests
)
