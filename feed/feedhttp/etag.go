package feedhttp

import (
	"iter"
	"strings"
)

// listsTag reports whether an If-Match or If-None-Match field names the tag.
func listsTag(field []string, tag string) bool {
	for one := range tagsOf(field) {
		if one == tag || one == "*" {
			return true
		}
	}
	return false
}

// tagsOf yields the tags of an If-Match or If-None-Match field (RFC 9110,
// section 13.1). Our tags are strong, so one that a cache made weak still means
// the same bytes.
func tagsOf(field []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range field {
			for one := range strings.SplitSeq(line, ",") {
				if !yield(strings.TrimPrefix(strings.TrimSpace(one), "W/")) {
					return
				}
			}
		}
	}
}

// takesZstd reports whether an Accept-Encoding field takes content coding zstd
// (RFC 9110, section 12.5.3).
func takesZstd(field []string) bool {
	for _, line := range field {
		for one := range strings.SplitSeq(line, ",") {
			coding, weight, _ := strings.Cut(one, ";")
			if strings.TrimSpace(coding) != "zstd" {
				continue
			}
			weight = strings.ReplaceAll(weight, " ", "")
			return weight == "" || strings.HasPrefix(weight, "q=") && strings.Trim(weight[2:], "0.") != ""
		}
	}
	return false
}
