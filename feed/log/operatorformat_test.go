package log

import (
	"os"
	"testing"

	"airlock/storage"
)

// TestOperator reads the example, and nothing that is nearly like it.
func TestOperator(t *testing.T) {
	example, err := os.ReadFile("testdata/operator.txt")
	if err != nil {
		t.Fatal(err)
	}
	key, err := parseOperator(example)
	if err != nil || string(formatOperator(key)) != string(example) {
		t.Fatal(key, err)
	}
	for _, bad := range []string{"", operatorHeader, "airlock-operator 2\n" + key.String() + "\n", operatorHeader + key.String(), operatorHeader + key.String() + "\n\n", operatorHeader + key.Hex() + "\n", string(formatOperator(storage.Digest{}))} {
		if _, err := parseOperator([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// FuzzOperator: what is read is written the same.
func FuzzOperator(f *testing.F) {
	f.Add(formatOperator(storage.DigestOf(nil)))
	f.Add([]byte(operatorHeader))
	f.Fuzz(func(t *testing.T, b []byte) {
		if key, err := parseOperator(b); err == nil && string(formatOperator(key)) != string(b) {
			t.Errorf("%q is written %q", b, formatOperator(key))
		}
	})
}
