package feedhttp

import (
	"strconv"
	"strings"
)

// byteRange is one range of bytes as a client asks for it (RFC 9110, section
// 14.1.2): first to last, first to the end (last < 0), or the last n bytes
// (first < 0, last is n).
type byteRange struct{ first, last int64 }

// parseRange reads a Range field. A field that is not of the form, is in
// another unit or asks for several ranges is ignored, as section 14.2 has it.
func parseRange(s string) (byteRange, bool) {
	spec, ok := strings.CutPrefix(s, "bytes=")
	if !ok {
		return byteRange{}, false
	}
	from, to, ok := strings.Cut(spec, "-")
	if !ok {
		return byteRange{}, false
	}
	first, okFirst := parseOffset(from)
	last, okLast := parseOffset(to)
	switch {
	case from == "" && okLast:
		return byteRange{-1, last}, true
	case okFirst && to == "":
		return byteRange{first, -1}, true
	case okFirst && okLast && first <= last:
		return byteRange{first, last}, true
	}
	return byteRange{}, false
}

// parseOffset reads a number of bytes: decimal digits alone.
func parseOffset(s string) (int64, bool) {
	if s == "" || len(s) > 18 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// resolve returns the offset and the number of bytes that the range means in
// content of that size. A range of which there is no byte is not satisfiable.
func (r byteRange) resolve(size int64) (off, n int64, ok bool) {
	switch {
	case r.first < 0:
		n = min(r.last, size)
		return size - n, n, n > 0
	case r.first >= size:
		return 0, 0, false
	case r.last < 0 || r.last >= size:
		return r.first, size - r.first, true
	}
	return r.first, r.last - r.first + 1, true
}

// contentRange writes the field's value for n bytes from off of size.
func contentRange(off, n, size int64) string {
	return "bytes " + strconv.FormatInt(off, 10) + "-" + strconv.FormatInt(off+n-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// parseContentRange reads what contentRange writes, for a range that begins at
// want and goes to the end; it returns the whole size.
func parseContentRange(s string, want int64) (size int64, ok bool) {
	spec, ok := strings.CutPrefix(s, "bytes ")
	if !ok {
		return 0, false
	}
	span, total, _ := strings.Cut(spec, "/")
	from, to, _ := strings.Cut(span, "-")
	first, ok1 := parseOffset(from)
	last, ok2 := parseOffset(to)
	size, ok3 := parseOffset(total)
	return size, ok1 && ok2 && ok3 && first == want && last == size-1
}
