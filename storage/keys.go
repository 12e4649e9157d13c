package storage

import "strings"

// maxKey bounds a key of Files and Cells, and maxSegment each part of it, in
// bytes. No file system takes a longer name.
const (
	maxKey     = 512
	maxSegment = 255
)

// CheckKey reports a key outside the rule of Files as *KeyError.
func CheckKey(key string) error {
	switch {
	case key == "":
		return &KeyError{Key: key, Rule: "empty"}
	case len(key) > maxKey:
		return &KeyError{Key: key, Rule: "longer than 512 bytes"}
	}
	for segment := range strings.SplitSeq(key, "/") {
		switch {
		case segment == "":
			return &KeyError{Key: key, Rule: "has an empty segment"}
		case len(segment) > maxSegment:
			return &KeyError{Key: key, Rule: "has a segment longer than 255 bytes"}
		case segment == "." || segment == "..":
			return &KeyError{Key: key, Rule: `has the segment "." or ".."`}
		case strings.IndexFunc(segment, notKeyRune) >= 0:
			return &KeyError{Key: key, Rule: "has a character other than a-z 0-9 . _ -"}
		}
	}
	return nil
}

// checkPrefix reports a prefix that no key can start with.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return CheckKey(strings.TrimSuffix(prefix, "/"))
}

// checkSpace reports a Space name that is not "<organisation>/<space>". The
// caller has checked the labels; this keeps a slip from leaving the store.
func checkSpace(space string) error {
	if strings.Count(space, "/") != 1 {
		return &KeyError{Key: space, Rule: "not <organisation>/<space>"}
	}
	return CheckKey(space)
}

func notKeyRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
}

// objectKey is where an object of a Space lies, in a directory and in a bucket
// alike. The two digits keep folders small.
func objectKey(space string, d Digest) string {
	digits := d.Hex()
	return "objects/" + space + "/" + digits[:2] + "/" + digits
}
