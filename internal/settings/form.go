package settings

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"airlock/feed/feedhttp"
	"airlock/feed/kind"
	"airlock/storage"
	"airlock/trust"
)

// form is how a setting is written: on the command line, in the environment and
// in documents.
type form struct {
	kind.Form
	name string // for --help
	want string // what it takes, for errors
	set  func(v reflect.Value, text string) bool
	text func(v reflect.Value) string
	path bool // may name a file or folder
}

// newForm returns the form of fields of a type.
func newForm(t reflect.Type, tags reflect.StructTag, positive bool) form {
	f := form{kind.Text, "string", "text", setText, reflect.Value.String, false}
	switch t {
	case reflect.TypeFor[time.Duration]():
		f = number(form{Form: kind.Text, name: "duration", want: "a time span such as 5s"}, parseSpan, formatSpan)
	case reflect.TypeFor[int64]():
		f = number(form{Form: kind.Size, name: "size", want: "a size such as 64MiB"}, ParseSize, formatSize)
	case reflect.TypeFor[int]():
		f = number(form{Form: kind.Number, name: "int", want: "a whole number"}, parseCount, formatCount)
	case reflect.TypeFor[float64]():
		f = form{kind.Number, "share", "a share from 0 to 1, such as 0.1", setShare, formatShare, false}
	case reflect.TypeFor[bool]():
		f = form{kind.Flag, "bool", "true or false", setFlag, func(v reflect.Value) string { return strconv.FormatBool(v.Bool()) }, false}
	case reflect.TypeFor[[]string]():
		f = form{kind.List, "strings", "texts", addText, func(v reflect.Value) string { return strings.Join(v.Interface().([]string), ",") }, false}
	case reflect.TypeFor[[]netip.Prefix]():
		f = form{kind.List, "ranges", "ranges of addresses such as 10.0.0.0/8, or 10.1.2.3/32 for one", addRanges, formatRanges, false}
	}
	if words := tags.Get("words"); words != "" {
		all := strings.Split(words, ",")
		f = f.only(strings.Join(all, " or "), func(s string) bool { return s == "" || slices.Contains(all, s) })
	}
	if name := tags.Get("form"); name != "" {
		known := textForms[name]
		f = f.only(known.want, known.ok)
		f.path = known.path
	}
	if positive {
		f = f.bounded(", above zero", func(n int64) bool { return n > 0 })
	}
	if most := tags.Get("most"); most != "" {
		largest := reflect.New(t).Elem()
		f.set(largest, most)
		f = f.bounded(", at most "+most, func(n int64) bool { return n <= largest.Int() })
	}
	return f
}

// textForm is what the tag form stands for.
type textForm struct {
	want string
	ok   func(string) bool
	path bool
}

var textForms = map[string]textForm{
	"address": {"an address with a port, such as 127.0.0.1:7070", isAddress, false},
	"url":     {"a URL such as https://10.0.0.1:7070, or http on loopback", isURL, false},
	"file":    {"a file", isLine, true},
	"store":   {"a folder, or s3://bucket/prefix", isStore, true},
	"log":     {"a file, - for standard error, or none", isLine, true},
}

// only leaves of a text's values those that are ok.
func (f form) only(want string, ok func(string) bool) form {
	set := f.set
	f.want, f.set = want, func(v reflect.Value, text string) bool { return ok(text) && set(v, text) }
	return f
}

// bounded leaves of a number's values those that are ok.
func (f form) bounded(want string, ok func(int64) bool) form {
	set := f.set
	f.want, f.set = f.want+want, func(v reflect.Value, text string) bool {
		n := reflect.New(v.Type()).Elem()
		return set(n, text) && ok(n.Int()) && set(v, text)
	}
	return f
}

func number(f form, parse func(string) (int64, bool), format func(int64) string) form {
	f.set = func(v reflect.Value, text string) bool {
		n, ok := parse(text)
		if ok = ok && !v.OverflowInt(n); ok {
			v.SetInt(n)
		}
		return ok
	}
	f.text = func(v reflect.Value) string { return format(v.Int()) }
	return f
}

func setText(v reflect.Value, text string) bool {
	v.SetString(text)
	return true
}

func setFlag(v reflect.Value, text string) bool {
	yes, err := strconv.ParseBool(text)
	v.SetBool(yes)
	return err == nil
}

// setShare takes decimals of a few digits, and none of the other ways to write a number.
func setShare(v reflect.Value, text string) bool {
	share, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.Trim(text, "0123456789.") != "" || share > 1 {
		return false
	}
	v.SetFloat(share)
	return true
}

func formatShare(v reflect.Value) string { return strconv.FormatFloat(v.Float(), 'f', -1, 64) }

// addText adds to a list what stands between commas.
func addText(v reflect.Value, text string) bool {
	for part := range strings.SplitSeq(text, ",") {
		v.Set(reflect.Append(v, reflect.ValueOf(part)))
	}
	return true
}

// addRanges adds to a list the ranges of addresses between commas. Each is written
// as it is meant: 10.1.2.3/8 is none. No text is no range.
func addRanges(v reflect.Value, text string) bool {
	if text == "" {
		return true
	}
	for part := range strings.SplitSeq(text, ",") {
		p, err := netip.ParsePrefix(part)
		if err != nil || p != p.Masked() {
			return false
		}
		v.Set(reflect.Append(v, reflect.ValueOf(p)))
	}
	return true
}

func formatRanges(v reflect.Value) string {
	var out []string
	for _, p := range v.Interface().([]netip.Prefix) {
		out = append(out, p.String())
	}
	return strings.Join(out, ",")
}

func parseSpan(s string) (int64, bool) {
	var d trust.Duration
	err := d.UnmarshalText([]byte(s))
	return int64(d), err == nil
}

func formatSpan(n int64) string { return trust.Duration(n).String() }

func parseCount(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0
}

func formatCount(n int64) string { return strconv.FormatInt(n, 10) }

// ParseSize reads a number of bytes, such as 700, 700M or 4GiB; M and MiB are the
// same.
func ParseSize(s string) (int64, bool) {
	number := strings.TrimRight(strings.ToUpper(s), "KMGTIB")
	shift, ok := map[string]int{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(s[len(number):]), "B"), "I")]
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || n < 0 || n > 1<<62>>shift {
		return 0, false
	}
	return n << shift, true
}

// formatSize writes a number of bytes in the largest unit that says it exactly.
func formatSize(n int64) string {
	unit := 0
	for n > 0 && n&1023 == 0 && unit < 4 {
		n, unit = n>>10, unit+1
	}
	return strconv.FormatInt(n, 10) + []string{"", "KiB", "MiB", "GiB", "TiB"}[unit]
}

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}

// isURL takes what other servers can be asked at.
func isURL(s string) bool {
	base, err := url.Parse(s)
	if err == nil && s != "" {
		_, err = feedhttp.NewClient(feedhttp.ClientConfig{Base: base})
	}
	return err == nil
}

func isStore(s string) bool { return isLine(s) && storage.CheckName(s) == nil }

func isLine(s string) bool { return !strings.ContainsFunc(s, unicode.IsControl) }

// from makes a path that stands in a document that of the document's folder.
func (f form) from(folder, text string) string {
	if !f.path || text == "" || text == "-" || text == "none" || strings.Contains(text, "://") || filepath.IsAbs(text) {
		return text
	}
	return filepath.Join(folder, text)
}
