package signing

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"airlock/storage"
)

func TestParseStatementRefuses(t *testing.T) {
	raw, err := testStatement().Format()
	if err != nil {
		t.Fatal(err)
	}
	good := string(raw)
	swap := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in the statement", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	subject := good[strings.Index(good, `{"digest"`):strings.LastIndex(good, "]}")]
	hex := testStatement().Subject.Hex()
	for name, test := range map[string]struct{ raw, want string }{
		"as written":            {good, ""},
		"oversized":             {good + strings.Repeat(" ", MaxStatement), "at most"},
		"unknown kind":          {swap("/publication/", "/promise-of-rain/"), ""},
		"another version":       {swap("/publication/v1", "/publication/v2"), "predicateType"},
		"foreign predicate":     {swap("https://airlock.example/publication/v1", "https://slsa.dev/provenance/v1"), "predicateType"},
		"foreign host":          {swap("//airlock.example/", "//airlock.example.org/"), "predicateType"},
		"http":                  {swap("https://airlock", "http://airlock"), "predicateType"},
		"no kind":               {swap("/publication/", "//"), "predicateType"},
		"kind in capitals":      {swap("/publication/", "/Publication/"), "predicateType"},
		"kind with a path":      {swap("/publication/", "/a/publication/"), "predicateType"},
		"kind too long":         {swap("/publication/", "/"+strings.Repeat("a", 41)+"/"), "predicateType"},
		"empty predicate type":  {swap("https://airlock.example/publication/v1", ""), "predicateType"},
		"statement v0.1":        {swap("Statement/v1", "Statement/v0.1"), "_type"},
		"no subject":            {swap(subject, ""), "0 subjects"},
		"two subjects":          {swap(subject, subject+","+subject), "2 subjects"},
		"subject null":          {swap("["+subject+"]", "null"), "null"},
		"subject without name":  {swap(`"variable-set/shop@1.4.0"`, `""`), "subject name"},
		"subject name too long": {swap("variable-set/", strings.Repeat("a", 600)), "subject name"},
		"name with an escape":   {swap("variable-set/", `\u001b[2J`), "subject name"},
		"name turned around":    {swap("variable-set/", "\u202e"), "subject name"},
		"sha512":                {swap(`"sha256"`, `"sha512"`), "unknown field"},
		"two digests":           {swap(`"sha256":"`, `"sha1":"00","sha256":"`), "unknown field"},
		"digest in capitals":    {swap(hex, strings.ToUpper(hex)), "lower-case"},
		"digest cut off":        {swap(hex, hex[1:]), "lower-case"},
		"digest with prefix":    {swap(hex, "sha256:"+hex), "lower-case"},
		"annotations":           {swap(`"name":`, `"mediaType":"a","name":`), "unknown field"},
		"no predicate":          {swap(`"predicate":{"epoch":1,"feed":"acme/dev-qa/shared"},`, ""), "canonical"},
		"predicate null":        {swap(`{"epoch":1,"feed":"acme/dev-qa/shared"}`, "null"), "null"},
		"predicate a list":      {swap(`{"epoch":1,"feed":"acme/dev-qa/shared"}`, "[]"), "not an object"},
		// The predicate of a kind nobody here knows is held to the same form.
		"predicate key twice":    {swap(`"epoch":1`, `"epoch":1,"epoch":2`), "given twice"},
		"predicate out of order": {swap(`{"epoch":1,"feed":`, `{"feed":1,"epoch":`), "out of order"},
		"predicate white space":  {swap(`"epoch":1`, `"epoch": 1`), "canonical"},
		"predicate fraction":     {swap(`"epoch":1`, `"epoch":1.0`), "plain integer"},
		"predicate nested":       {swap(`"epoch":1`, `"epoch":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)), "nested deeper"},
		"type key twice":         {swap(`{"_type"`, `{"_type":"x","_type"`), "given twice"},
		"type key in capitals":   {swap(`"_type"`, `"_TYPE"`), "another case"},
		"trailing data":          {good + "{}", "something follows"},
		"unknown member":         {swap(`,"predicate"`, `,"also":1,"predicate"`), "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseStatement([]byte(test.raw))
			wantError(t, err, test.want)
		})
	}
}

func TestFormatRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *Statement)
		want   string
	}{
		"no kind":        {func(s *Statement) { s.Kind = "" }, "kind"},
		"kind":           {func(s *Statement) { s.Kind = "a/v1" }, "kind"},
		"no name":        {func(s *Statement) { s.SubjectName = "" }, "subject name"},
		"name":           {func(s *Statement) { s.SubjectName = "a\nb" }, "subject name"},
		"no predicate":   {func(s *Statement) { s.Predicate = nil }, "predicate"},
		"predicate":      {func(s *Statement) { s.Predicate = []byte(`{"b":1,"a":2}`) }, "out of order"},
		"predicate text": {func(s *Statement) { s.Predicate = []byte(`{`) }, "unexpected end"},
		"too long":       {func(s *Statement) { s.Predicate = fmt.Appendf(nil, `{"a":"%s"}`, strings.Repeat("a", MaxStatement)) }, "at most"},
	} {
		s := testStatement()
		test.change(&s)
		out, err := s.Format()
		if err == nil {
			t.Errorf("%s: wrote %s", name, out)
		}
		wantError(t, err, test.want)
	}
}

// DSSE protocol v1.0.2, "Signature Definition".
func TestPAE(t *testing.T) {
	if got, want := string(pae([]byte("hello world"))), "DSSEv1 28 application/vnd.in-toto+json 11 hello world"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := idOf([]byte("{}")), ID(sha256.Sum256([]byte("DSSEv1 28 application/vnd.in-toto+json 2 {}"))); got != want {
		t.Errorf("id %s, want %s", got, want)
	}
}

func TestID(t *testing.T) {
	id := idOf([]byte("{}"))
	text, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	var back ID
	if err := json.Unmarshal(text, &back); err != nil || back != id || id.IsZero() || !(ID{}).IsZero() {
		t.Errorf("%s became %s, %v", id, back, err)
	}
	a, _ := testAttestation(t)
	if id, err := testStatement().ID(); err != nil || id != a.ID() {
		t.Errorf("id %s, %v before signing, %s after", id, err, a.ID())
	}
	wantError(t, back.UnmarshalText([]byte(strings.ToUpper(id.String()))), "digest")
}

func TestStatementRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := Statement{
			Kind:        Kind(rapid.StringMatching(`[a-z-]{1,40}`).Draw(t, "kind")),
			Subject:     storage.DigestOf(rapid.SliceOf(rapid.Byte()).Draw(t, "subject")),
			SubjectName: rapid.StringMatching(`[ -~é]{1,200}`).Draw(t, "name"),
		}
		var err error
		if in.Predicate, err = MarshalCanonical(rapid.MapOf(rapid.StringMatching(`[a-z]*`), rapid.Int32()).Draw(t, "predicate")); err != nil {
			t.Fatal(err)
		}
		raw, err := in.Format()
		if err != nil {
			t.Fatal(err)
		}
		out, err := ParseStatement(raw)
		if err != nil || out.Kind != in.Kind || out.Subject != in.Subject || out.SubjectName != in.SubjectName || !bytes.Equal(out.Predicate, in.Predicate) {
			t.Errorf("%+v became %+v, %v", in, out, err)
		}
	})
}

func FuzzStatement(f *testing.F) {
	raw, err := testStatement().Format()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(bytes.Replace(raw, []byte(`"epoch":1`), []byte(`"Epoch":1,"epoch":2`), 1))
	f.Add(raw[:100])
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := ParseStatement(raw)
		if err != nil {
			return
		}
		if again, err := s.Format(); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%q became %q, %v", raw, again, err)
		}
	})
}
