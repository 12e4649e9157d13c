package signing

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// note has a member of each sort that documents hold.
type note struct {
	Bytes  []byte            `json:"bytes"`
	Flag   bool              `json:"flag,omitempty"`
	Labels map[string]string `json:"labels"`
	List   []int64           `json:"list"`
	Next   *note             `json:"next,omitempty"`
	Size   uint64            `json:"size"`
	Text   string            `json:"text"`
}

func TestUnmarshalCanonical(t *testing.T) {
	const good = `{"bytes":"AQID","labels":{"a":"1","b":"2"},"list":[-1,0,2],"size":7,"text":"é/<\"\\\n\u0001"}`
	swap := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in the document", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	for name, test := range map[string]struct{ doc, want string }{
		"as written":              {good, ""},
		"duplicate key":           {swap(`"size":7`, `"size":7,"size":7`), "given twice"},
		"duplicate key, other":    {swap(`"size":7`, `"size":7,"size":8`), "given twice"},
		"key in another case":     {swap(`"size":7`, `"Size":7`), "out of order"},
		"key in case, in order":   {`{"bytes":"","labels":{},"list":[],"sizE":7,"text":""}`, "another case"},
		"key with Kelvin sign":    {`{"bytes":"","labels":{},"list":[],"siZe":7,"text":""}`, "another case"},
		"escaped key":             {swap(`"size"`, `"\u0073ize"`), "shortest escape"},
		"unknown field":           {swap(`"text"`, `"tail":1,"text"`), "unknown field"},
		"missing field":           {swap(`"size":7,`, ``), "missing"},
		"empty where omitted":     {swap(`"labels"`, `"flag":false,"labels"`), "empty"},
		"unsorted map":            {swap(`"a":"1","b":"2"`, `"b":"2","a":"1"`), "out of order"},
		"white space":             {swap(`:7`, `: 7`), "want a value"},
		"white space in front":    {" " + good, "want a value"},
		"line feed at the end":    {good + "\n", "something follows"},
		"trailing document":       {good + good, "something follows"},
		"byte order mark":         {"\ufeff" + good, "want a value"},
		"empty":                   {"", "want a value"},
		"cut off":                 {good[:len(good)-1], "want a comma or the end"},
		"cut off in a string":     {good[:len(good)-3], "shortest escape"},
		"null":                    {"null", "null"},
		"null for a list":         {swap(`[-1,0,2]`, `null`), "null"},
		"null for bytes":          {swap(`"AQID"`, `null`), "null"},
		"number for a string":     {swap(`"size":7`, `"size":"7"`), "cannot unmarshal"},
		"negative for unsigned":   {swap(`"size":7`, `"size":-7`), "cannot unmarshal"},
		"fraction":                {swap(`:7`, `:7.0`), "plain integer"},
		"exponent":                {swap(`:7`, `:7e0`), "plain integer"},
		"leading zero":            {swap(`:7`, `:07`), "zero too many"},
		"minus zero":              {swap(`,0,`, `,-0,`), "zero too many"},
		"plus sign":               {swap(`:7`, `:+7`), "want a value"},
		"above 2^53":              {swap(`:7`, `:9007199254740992`), "2^53"},
		"far above 2^64":          {swap(`:7`, `:99999999999999999999999999`), "2^53"},
		"escaped slash":           {swap(`/`, `\/`), "shortest escape"},
		"escape in upper case":    {swap(`é`, `\u00E9`), "shortest escape"},
		"escape of a letter":      {swap(`é`, `\u00e9`), "shortest escape"},
		"long escape":             {swap(`\n`, `\u000a`), "shortest escape"},
		"escape <":                {swap(`<`, `\u003c`), "shortest escape"},
		"lone surrogate":          {swap(`é`, `\ud800`), "shortest escape"},
		"replacement escape":      {swap(`é`, `\ufffd`), "shortest escape"},
		"invalid UTF-8":           {swap(`é`, "\xff"), "not UTF-8"},
		"overlong UTF-8":          {swap(`é`, "\xc0\xaf"), "not UTF-8"},
		"line separator":          {swap(`é`, "\u2028"), "separators"},
		"control character":       {swap(`\u0001`, "\x01"), "control character"},
		"base64 without padding":  {swap(`AQID`, `AQI`), "illegal base64"},
		"base64 with loose bits":  {swap(`AQID`, `AR==`), "spelling"},
		"base64 with line break":  {swap(`AQID`, `AQ\nID`), "spelling"},
		"JavaScript":              {swap(`:7`, `:NaN`), "want a value"},
		"comment":                 {"/**/" + good, "want a value"},
		"nested too deep, arrays": {strings.Repeat("[", 100_000), "nested deeper"},
		"nested too deep, object": {strings.Repeat(`{"a":`, 100_000), "nested deeper"},
		"trailing comma, object":  {swap(`2"}`, `2",}`), "want a string"},
		"trailing comma, array":   {swap(`0,2]`, `0,2,]`), "want a value"},
		"missing comma":           {swap(`0,2`, `0 2`), "want a comma"},
		"missing colon":           {swap(`"size":7`, `"size" 7`), "want a colon"},
	} {
		t.Run(name, func(t *testing.T) {
			var n note
			err := UnmarshalCanonical([]byte(test.doc), &n)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (!errors.Is(err, ErrNotCanonical) || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestMarshalCanonicalRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		value any
		want  string
	}{
		"fields out of order": {struct {
			B int `json:"b"`
			A int `json:"a"`
		}{}, "out of order"},
		"fraction":        {map[string]any{"a": 1.5}, "plain integer"},
		"above 2^53":      {map[string]uint64{"a": 1 << 53}, "2^53"},
		"below -2^53":     {map[string]int64{"a": -1 << 53}, "2^53"},
		"nil list":        {note{Bytes: []byte{}, Labels: map[string]string{}}, "null"},
		"invalid UTF-8":   {map[string]string{"a": "\xff"}, "shortest escape"},
		"line separator":  {map[string]string{"a": "\u2028"}, "shortest escape"},
		"RFC 8785 order":  {map[string]int{"😀": 1, "\ufb33": 2}, "out of order"},
		"too deep":        {deep(33), "nested deeper"},
		"unmarshalable":   {func() {}, "unsupported type"},
		"floating as int": {map[string]any{"a": 1e21}, "plain integer"},
	} {
		if out, err := MarshalCanonical(test.value); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %s, error %v, want %q", name, out, err, test.want)
		}
	}
	for name, value := range map[string]any{
		// The text of an escape is no escape.
		"backslash":  map[string]string{"a": `\u2028`},
		"HTML":       map[string]string{"a": "<b>&"},
		"as deep":    deep(32),
		"2^53-1":     []int64{1<<53 - 1, -(1<<53 - 1)},
		"DEL and é":  "\u007fé",
		"empty":      []any{map[string]any{}, []any{}, ""},
		"prefix key": map[string]int{"a": 1, "ab": 2, "": 0},
	} {
		if _, err := MarshalCanonical(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func deep(n int) any {
	var v any = true
	for range n {
		v = []any{v}
	}
	return v
}

// The example of RFC 8785, section 3.2.3, where the order of UTF-16 code units
// is not that of bytes.
func TestMemberOrder(t *testing.T) {
	const sorted = `{"\r":0,"1":1,"` + "\u0080" + `":2,"` + "\u00f6" + `":3,"€":4,"😀":5,"` + "\ufb33" + `":6}`
	if err := checkCanonical([]byte(sorted)); err != nil {
		t.Error(err)
	}
	swapped := strings.NewReplacer("😀", "\ufb33", "\ufb33", "😀").Replace(sorted)
	if err := checkCanonical([]byte(swapped)); err == nil {
		t.Error("members in the order of bytes are taken")
	}
}

func TestMembers(t *testing.T) {
	type member struct{ Name, Value string }
	var got []member
	for name, value := range Members([]byte(`{"Epoch":1,"a\"b":{"epoch":2},"epoch":[3,"}"],"z":true}`)) {
		if got = append(got, member{name, string(value)}); name == "epoch" {
			break
		}
	}
	want := []member{{"Epoch", "1"}, {`a"b`, `{"epoch":2}`}, {"epoch", `[3,"}"]`}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name := range Members([]byte(`["a"]`)) {
		t.Errorf("an array has member %s", name)
	}
}

func notes(depth int) *rapid.Generator[note] {
	text := rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return r != '\u2028' && r != '\u2029' }))
	return rapid.Custom(func(t *rapid.T) note {
		n := note{
			Bytes:  rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"),
			Flag:   rapid.Bool().Draw(t, "flag"),
			Labels: rapid.MapOf(rapid.StringMatching(`[ -~é]*`), text).Draw(t, "labels"),
			List:   rapid.SliceOf(rapid.Int64Range(-maxInt, maxInt)).Draw(t, "list"),
			Size:   rapid.Uint64Range(0, maxInt).Draw(t, "size"),
			Text:   text.Draw(t, "text"),
		}
		if depth > 0 && rapid.Bool().Draw(t, "more") {
			next := notes(depth-1).Draw(t, "next")
			n.Next = &next
		}
		return n
	})
}

func TestCanonicalRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := notes(3).Draw(t, "note")
		raw, err := MarshalCanonical(in)
		if err != nil {
			t.Fatal(err)
		}
		var out note
		if err := UnmarshalCanonical(raw, &out); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(in, out); diff != "" {
			t.Error(diff)
		}
	})
}

// What passes has one reading: it parses, and every parser that writes RFC 8785
// writes it again as it was.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2,{"b":"é\n\u001f"}],"c":true}`, `{"a":1,"a":2}`, `{"é":1,"😀":2}`, `[9007199254740991]`, `{"A":1,"a":2}`, `"\ud83d\ude00"`, `nul`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var n note
		if err := UnmarshalCanonical(data, &n); err == nil {
			if again, err := MarshalCanonical(n); err != nil || string(again) != string(data) {
				t.Errorf("%q became %q, %v", data, again, err)
			}
		}
		if checkCanonical(data) != nil {
			return
		}
		var v any
		if err := decodeNumbers(data, &v); err != nil {
			t.Fatalf("%q passes and is no JSON: %v", data, err)
		}
		// encoding/json sorts by bytes, which agrees as long as all is ASCII.
		again, err := encode(v)
		if err != nil || isASCII(data) && string(again) != string(data) {
			t.Errorf("%q became %q, %v", data, again, err)
		}
	})
}
