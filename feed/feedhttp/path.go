package feedhttp

import (
	"strconv"
	"strings"

	"airlock/feed"
	"airlock/trust"
)

// feedsPath is before the name of a feed in every path about one.
const feedsPath = "/v1/feeds/"

// feedPath returns {F}, without a slash at the end.
func feedPath(id feed.ID) string { return feedsPath + id.String() }

// cutFeed splits "/v1/feeds/<organisation>/<space>/<feed>/<rest>" and checks
// the three labels. It does not allocate.
func cutFeed(p string) (id feed.ID, rest string, ok bool) {
	p, ok = strings.CutPrefix(p, feedsPath)
	if !ok {
		return id, "", false
	}
	id.Space.Organisation, p, _ = strings.Cut(p, "/")
	id.Space.Name, p, _ = strings.Cut(p, "/")
	id.Name, rest, ok = strings.Cut(p, "/")
	return id, rest, ok && checkID(id) == nil
}

func checkID(id feed.ID) error {
	for _, label := range [...]string{id.Space.Organisation, id.Space.Name, id.Name} {
		if err := trust.CheckLabel(label); err != nil {
			return err
		}
	}
	return nil
}

// checkPath checks that a path is spelled in the one way that there is: no
// percent-encoding, no empty part, no "." and no "..", and only the characters
// that our paths have.
func checkPath(path, rawPath string) error {
	if rawPath != "" || path == "" || path[0] != '/' {
		return badRequest("path %.80q: percent-encoding is not used here", rawPath+path)
	}
	for _, c := range []byte(path) {
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && c != '/' && c != '-' && c != '.' && c != '_' {
			return badRequest("path %.80q: has other characters than a-z, 0-9, \"-\", \".\", \"_\" and \"/\"", path)
		}
	}
	if path == infoPath || path == "/" {
		return nil // the only paths that end with a slash
	}
	for part := range strings.SplitSeq(path[1:], "/") {
		if part == "" || part == "." || part == ".." {
			return badRequest("path %.80q: has a part %q", path, part)
		}
	}
	return nil
}

// maxPartNumber bounds N: with 256 entries each, entries still count in 63 bits.
const maxPartNumber = 1<<55 - 1

// maxLevel is the highest level of tiles that a log of 2^56 entries has.
const maxLevel = 6

// formatPart writes what comes after "segment/" or "tile/<L>/": the number in
// groups of three digits, all but the last with an "x" before them, and
// ".p/<width>" where it is not full (C2SP tlog-tiles, "Merkle Tree"), or
// ".p/<from>-<width>" where it is also without what comes before from.
func formatPart(n int64, from, width int) string {
	out := pad3(n % 1000)
	for n >= 1000 {
		n /= 1000
		out = "x" + pad3(n%1000) + "/" + out
	}
	switch {
	case width == feed.SegmentSize:
		return out
	case from > 0:
		return out + ".p/" + strconv.Itoa(from) + "-" + strconv.Itoa(width)
	}
	return out + ".p/" + strconv.Itoa(width)
}

func pad3(n int64) string {
	return string([]byte{'0' + byte(n/100), '0' + byte(n/10%10), '0' + byte(n%10)})
}

// parsePart reads what formatPart writes, and nothing else.
func parsePart(s string) (n int64, from, width int, ok bool) {
	number, bounds, partial := strings.Cut(s, ".p/")
	width = feed.SegmentSize
	if partial {
		if from, width, ok = parseBounds(bounds); !ok {
			return 0, 0, 0, false
		}
	}
	n, ok = parsePartNumber(number)
	return n, from, width, ok
}

// parseBounds reads "<width>" or "<from>-<width>" of what is not full.
func parseBounds(s string) (from, width int, ok bool) {
	begin, end, both := strings.Cut(s, "-")
	if !both {
		begin, end = "0", s
	}
	from, fromErr := strconv.Atoi(begin)
	width, widthErr := strconv.Atoi(end)
	ok = fromErr == nil && widthErr == nil && strconv.Itoa(from) == begin && strconv.Itoa(width) == end &&
		(from > 0 || !both) && from < width && width < feed.SegmentSize
	return from, width, ok
}

func parsePartNumber(s string) (n int64, ok bool) {
	if len(s) > len("x036/x028/x797/x018/x963/x967")+len("/000") {
		return 0, false
	}
	for first := true; ; first = false {
		group, rest, more := strings.Cut(s, "/")
		if more {
			if group, ok = strings.CutPrefix(group, "x"); !ok || first && group == "000" {
				return 0, false
			}
		}
		if len(group) != 3 {
			return 0, false
		}
		for _, c := range []byte(group) {
			if c < '0' || c > '9' {
				return 0, false
			}
			if n = n*10 + int64(c-'0'); n > maxPartNumber {
				return 0, false
			}
		}
		if !more {
			return n, true
		}
		s = rest
	}
}

// path returns the path of a part below {F}.
func (p Part) path() string {
	number := formatPart(p.N, p.From, p.Width)
	switch p.Kind {
	case Segment:
		return "segment/" + number
	case Pack:
		return "pack/" + number
	case Entries:
		return "tile/entries/" + number
	}
	return "tile/" + strconv.Itoa(p.Level) + "/" + number
}

// parseTile reads what comes after "tile/": a level and a number, or "entries"
// and a number.
func parseTile(s string) (p Part, ok bool) {
	level, number, ok := strings.Cut(s, "/")
	switch {
	case !ok:
		return p, false
	case level == "entries":
		p.Kind = Entries
	case len(level) == 1 && level[0] >= '0' && level[0] <= '0'+maxLevel:
		p.Kind, p.Level = Tile, int(level[0]-'0')
	default:
		return p, false
	}
	p.N, p.From, p.Width, ok = parsePart(number)
	return p, ok && p.From == 0
}
