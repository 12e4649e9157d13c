package main

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"reflect"
	"strings"
	"testing"
	"time"
)

// hostile is text that does something wherever a page takes it for its own.
const hostile = `"><script>document.title='owned'</script><img src=x onerror=alert(1)>'{{.}}`

// fillHostile puts hostile text into every string of a value, and one element
// into every list.
func fillHostile(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(hostile)
		}
	case reflect.Bool:
		if v.CanSet() {
			v.SetBool(true)
		}
	case reflect.Pointer:
		if v.CanSet() {
			v.Set(reflect.New(v.Type().Elem()))
			fillHostile(v.Elem())
		}
	case reflect.Slice:
		if v.CanSet() {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fillHostile(v.Index(0))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fillHostile(v.Field(i))
		}
	}
}

// Whatever a bundle says stays text on the page: no field of the report brings
// an element or an attribute into it.
func TestInspectPageHostile(t *testing.T) {
	var bad, empty inspectDoc
	fillHostile(reflect.ValueOf(&bad).Elem())
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	page, err := bad.html(now)
	if err != nil {
		t.Fatal(err)
	}
	quiet, err := empty.html(now)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, element := range []string{"<script", "<img", "<a ", "<link", "<iframe"} {
		if strings.Contains(text, element) {
			t.Errorf("the page has %q", element)
		}
	}
	if n := strings.Count(text, html.EscapeString("</script>")); n < 20 {
		t.Errorf("only %d places of the page show what they were given", n)
	}
	for _, p := range []string{text, string(quiet)} {
		style := p[strings.Index(p, "<style>")+len("<style>") : strings.Index(p, "</style>")]
		sum := sha256.Sum256([]byte(style))
		policy := html.UnescapeString(p[:strings.Index(p, "<title>")])
		if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) || !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("the page's policy is not about its style sheet: %s", policy)
		}
		for _, loads := range []string{"http:", "https:", "url(", "@import"} {
			if strings.Contains(p, loads) {
				t.Errorf("the page has %s", loads)
			}
		}
	}
}

func TestAge(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2026-11-21T11:00:00Z": "2026-11-21T11:00:00Z (less than a day ago)",
		"2026-11-20T11:00:00Z": "2026-11-20T11:00:00Z (1 day ago)",
		"2026-10-21T12:00:00Z": "2026-10-21T12:00:00Z (31 days ago)",
		"2026-11-21T12:00:01Z": "2026-11-21T12:00:01Z (in the future, by the clock here)",
		"yesterday":            "yesterday",
	} {
		if got := ago(text, now); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
