package log

import (
	"fmt"
)

const feedPrefix = "feeds/"

func (l *Log) cellKey() string { return "log/" + l.id.String() }

func (l *Log) checkpointKey() string { return "checkpoint/" + l.id.String() }

func (l *Log) listKey() string { return feedPrefix + l.id.String() }

// partKey is the key of a part of an epoch, n in the path encoding of C2SP
// tlog-tiles.
func (l *Log) partKey(epoch uint64, part string, n int64) string {
	return fmt.Sprintf("log/%s/e%d/%s/%s", l.id, epoch, part, pathNumber(n))
}

func (l *Log) packKey(epoch uint64, n int64) string {
	return fmt.Sprintf("pack/%s/e%d/%s", l.id, epoch, pathNumber(n))
}

// pathNumber writes n in groups of three digits, all but the last with an "x"
// before them (C2SP tlog-tiles, "Merkle Tree").
func pathNumber(n int64) string {
	out := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		out = fmt.Sprintf("x%03d/%s", n%1000, out)
	}
	return out
}
