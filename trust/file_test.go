package trust_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"airlock/trust"
)

func encodeBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func TestParseFileRefuses(t *testing.T) {
	s := newSpace(t)
	s.Next(func(id *trust.Identity) { s.Drop(id, s.Approver) })
	s.Next(s.Rotate)
	lines := strings.SplitAfter(string(s.File()), "\n")
	lines = lines[:len(lines)-1] // header, 1, by 1, 2, by 1, 3, by 1, by 3
	if len(lines) != 8 {
		t.Fatalf("%d lines", len(lines))
	}
	pick := func(order ...int) string {
		var out strings.Builder
		for _, i := range order {
			out.WriteString(lines[i])
		}
		return out.String()
	}
	all := pick(0, 1, 2, 3, 4, 5, 6, 7)
	for name, test := range map[string]struct{ file, want string }{
		"as written":             {all, ""},
		"only version 1":         {pick(0, 1, 2), ""},
		"up to version 2":        {pick(0, 1, 2, 3, 4), ""},
		"empty":                  {"", "does not begin"},
		"header alone":           {pick(0), "holds no identity"},
		"another version":        {strings.Replace(all, "identity 1", "identity 2", 1), "does not begin"},
		"no header":              {pick(1, 2), "does not begin"},
		"oversized":              {all + strings.Repeat("\n", trust.MaxFile), "at most"},
		"carriage returns":       {strings.ReplaceAll(all, "\n", "\r\n"), "does not begin"},
		"one carriage return":    {strings.Replace(all, lines[1], strings.Replace(lines[1], "\n", "\r\n", 1), 1), "line 2"},
		"empty line":             {all + "\n", "line 9"},
		"without the last feed":  {strings.TrimSuffix(all, "\n"), "line 8: no line feed"},
		"cut in a line":          {all[:len(all)/2], "no line feed"},
		"cut after a document":   {pick(0, 1, 2, 3), "version 2: not signed"},
		"cut between two roots":  {pick(0, 1, 2, 3, 4, 5, 6), "not signed by the root of version 3"},
		"statement of root 1":    {pick(0, 1, 2, 3, 4, 5, 7), "not signed by the root of version 2"},
		"statements exchanged":   {pick(0, 1, 2, 3, 4, 5, 7, 6), "out of order"},
		"versions exchanged":     {pick(0, 3, 4, 1, 2, 5, 6, 7), "begins with version 2"},
		"version left out":       {pick(0, 1, 2, 5, 6, 7), "follows version 1"},
		"version 1 twice":        {pick(0, 1, 2, 1, 2), "follows version 1"},
		"statement first":        {pick(0, 2, 1, 2), "line 2: a statement before"},
		"third statement":        {pick(0, 1, 2, 3, 4, 5, 6, 7, 7), "line 9: a third statement"},
		"statement twice":        {pick(0, 1, 2, 2), "more than are needed"},
		"statement of another":   {pick(0, 1, 2, 3, 2), "speaks of something else"},
		"statement not needed":   {pick(0, 1, 2, 3, 4, 2), "more than are needed"},
		"text instead":           {pick(0) + "-----BEGIN CERTIFICATE-----\n", "line 2"},
		"document, one space":    {strings.Replace(all, `{"apiVersion":`, `{"apiVersion": `, 1), "line 2"},
		"document, a byte less":  {strings.Replace(all, `"alice"`, `"alic"`, 1), "something else"},
		"document, other person": {strings.Replace(all, `"bob"`, `"rob"`, 1), "something else"},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := trust.ParseFile([]byte(test.file))
			wantError(t, err, test.want)
			if err == nil && !bytes.Equal(trust.FormatFile(h), []byte(test.file)) {
				t.Error("does not come back as it was")
			}
		})
	}
}

// Cut anywhere but between versions, a file is refused. Every fifth place is
// tried, and every end of a line.
func TestFileCutOff(t *testing.T) {
	s := newSpace(t)
	s.Next(s.Rotate)
	file := s.File()
	var accepted []int
	for n := range file {
		if n%5 != 0 && file[max(n, 1)-1] != '\n' {
			continue
		}
		if _, err := trust.ParseFile(file[:n]); err == nil {
			accepted = append(accepted, n)
		}
	}
	if want := []int{len(trust.FormatFile(s.HistoryAt(1)))}; !slices.Equal(accepted, want) {
		t.Errorf("accepted after %d bytes, want %d", accepted, want)
	}
}

// A change of any byte is refused; every fifth is tried.
func TestFileDamage(t *testing.T) {
	s := newSpace(t)
	s.Next(s.Rotate)
	file := s.File()
	for i := 0; i < len(file); i += 5 {
		bad := bytes.Clone(file)
		bad[i] ^= 1
		if _, err := trust.ParseFile(bad); err == nil {
			t.Fatalf("byte %d changed: accepted", i)
		}
	}
}

func FuzzFile(f *testing.F) {
	s := newSpace(f)
	f.Add(s.File())
	s.Next(s.Rotate)
	f.Add(s.File())
	f.Add(s.File()[:500])
	f.Add([]byte("airlock identity 1\n{\"apiVersion\"\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		h, err := trust.ParseFile(file)
		if err != nil {
			return
		}
		if !bytes.Equal(trust.FormatFile(h), file) {
			t.Errorf("%q became %q", file, trust.FormatFile(h))
		}
	})
}
