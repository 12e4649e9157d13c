package server

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"airlock/feed"
	"airlock/storage"
)

func registryKey(tb testing.TB, seed byte) feed.LogKey {
	tb.Helper()
	key, err := feed.NewLogKey(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func exampleRegistration() registration {
	return registration{Address: "https://a.airlock.example", Beat: 12, ID: strings.Repeat("0a", 16), Pin: storage.DigestOf([]byte("a key")), Started: 1764000000, Version: "0.4.0"}
}

// TestRegistration has the example of the format, byte for byte, and writes and
// reads back any registration.
func TestRegistration(t *testing.T) {
	key := registryKey(t, 1)
	got, err := exampleRegistration().format(key)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/server.bin")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the example is\n%q, want\n%q, %v", got, want, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		r := registration{Address: rapid.StringMatching(`https://[a-z]{1,60}`).Draw(t, "address"), Beat: rapid.Int64Range(0, 1<<53-1).Draw(t, "beat"),
			ID: rapid.StringMatching(`[0-9a-f]{32}`).Draw(t, "id"), Pin: storage.Digest(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "pin")), Started: rapid.Int64Range(0, 1<<40).Draw(t, "started"), Version: rapid.StringMatching(`[0-9.]{0,9}`).Draw(t, "version")}
		b, err := r.format(key)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseRegistration(b, r.ID, key.Public()); err != nil || again != r {
			t.Fatalf("%q is read as %+v, %v", b, again, err)
		}
	})
}

// TestRegistrationRefused reads what no server of the store says of itself.
func TestRegistrationRefused(t *testing.T) {
	key, r := registryKey(t, 1), exampleRegistration()
	good, err := r.format(key)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(text string) []byte { return append([]byte(text), key.SignCell([]byte(text))...) }
	foreign, _ := r.format(registryKey(t, 2))
	flipped := bytes.Clone(good)
	flipped[len(serverHeader)+15] ^= 1
	for name, c := range map[string]struct {
		b      []byte
		format bool
	}{
		"nothing":               {nil, true},
		"cut":                   {good[:len(good)-1], false},
		"of another version":    {sign("airlock-server 2\n{}"), true},
		"by another key":        {foreign, false},
		"changed":               {flipped, false},
		"long":                  {sign(serverHeader + strings.Repeat(" ", maxRegistration)), true},
		"not canonical":         {sign(serverHeader + "{ }"), false},
		"of a negative beat":    {sign(strings.Replace(string(good[:len(good)-64]), `"beat":12`, `"beat":-12`, 1)), false},
		"a log's cell, as text": {sign("airlock-log 1\n"), true},
	} {
		_, err := parseRegistration(c.b, r.ID, key.Public())
		if _, format := errors.AsType[*storage.FormatError](err); err == nil || format != c.format || !format && !errors.Is(err, errRegistration) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parseRegistration(good, strings.Repeat("0b", 16), key.Public()); err == nil {
		t.Error("one server's registration counts for another")
	}
}

// FuzzRegistration holds that a registration that is read has one form.
func FuzzRegistration(f *testing.F) {
	key := registryKey(f, 1)
	good, err := exampleRegistration().format(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[len(serverHeader) : len(good)-64])
	f.Add([]byte(`{"address":"","beat":0,"id":"00000000000000000000000000000000","started":0,"version":""}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		text := append([]byte(serverHeader), doc...)
		b := append(text, key.SignCell(text)...)
		for _, id := range []string{strings.Repeat("0a", 16), strings.Repeat("0", 32)} {
			r, err := parseRegistration(b, id, key.Public())
			if err != nil {
				continue
			}
			if again, err := r.format(key); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%q is read as %+v, which is written %q, %v", b, r, again, err)
			}
		}
	})
}
