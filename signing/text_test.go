package signing_test

import (
	"strings"
	"testing"

	"airlock/signing"
)

func TestCheckTextRefuses(t *testing.T) {
	for s, want := range map[string]string{"123456": "6 bytes, at most 5", "äää": "6 bytes, at most 5", "a\nb": "byte 1 is not", "a\tb": "byte 1 is not",
		"\x1b[2J": "byte 0 is not", "a\u202eb": "byte 1 is not", "ä\u00a0": "byte 2 is not", "ab\xff": "byte 2 is not", strings.Repeat("\x1b", 1<<20): "at most 5"} {
		if err := signing.CheckText(s, 5); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 400 {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{"a\nb\tc": "a b c", "\x1b[31m": "?[31m", "\xff": "?", "ääää": "ää", "": "", "1234ä": "1234", "\xbf\xbf\xbf\xbf\xbf\xbf": "?"} {
		if got := signing.Printable(in, 5); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// FuzzText: whatever came, what is shown of it is printable, and what was
// printable stays as it is.
func FuzzText(f *testing.F) {
	for _, s := range []string{"plain", "a\nb", "\x1b[2J", "ä\xc3", "\ufffd", "a\u202eb"} {
		f.Add(s, 5)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = max(0, most%100)
		shown := signing.Printable(s, most)
		if err := signing.CheckText(shown, most); err != nil {
			t.Errorf("%q became %v", s, err)
		}
		if is := signing.CheckText(s, most) == nil; is != (shown == s) {
			t.Errorf("%q, at most %d bytes: printable is %t, and it became %q", s, most, is, shown)
		}
	})
}
