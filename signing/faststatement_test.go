package signing

import (
	"reflect"
	"strings"
	"testing"
)

// wantFast compares the two ways to read a statement.
func wantFast(t *testing.T, b []byte) (took bool) {
	t.Helper()
	fast, took := fastStatement(b)
	slow, err := slowStatement(b)
	if took && (err != nil || !reflect.DeepEqual(fast, slow)) {
		t.Errorf("%q is read as %+v, and otherwise as %+v, %v", b, fast, slow, err)
	}
	return took
}

// TestFastStatement reads the example, and what is nearly one.
func TestFastStatement(t *testing.T) {
	raw := string(example(t, "statement.json"))
	if !wantFast(t, []byte(raw)) {
		t.Error("the example was not taken")
	}
	for i := range raw {
		for _, c := range []string{"", " ", `"`, `\`, "0", "{", "\xff", "x"} {
			wantFast(t, []byte(raw[:i]+c+raw[i+1:]))
			wantFast(t, []byte(raw[:i]+c+raw[i:]))
		}
	}
	for depth := 28; depth < 36; depth++ {
		deep := `{"a":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + "}"
		at := strings.Index(raw, `"predicate":`) + len(`"predicate":`)
		end := strings.Index(raw, `,"predicateType"`)
		wantFast(t, []byte(raw[:at]+deep+raw[end:]))
	}
}

func FuzzFastStatement(f *testing.F) {
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","predicate":{"a":1,"b":"x\n"},"predicateType":"https://airlock.example/note/v1","subject":[{"digest":{"sha256":"` + strings.Repeat("0a", 32) + `"},"name":"x"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) { wantFast(t, b) })
}
