package home

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/signing"
	"airlock/storage"
)

func aServer(n int) Server {
	return Server{LogKey: bytes.Repeat([]byte{7}, 32), Pin: storage.DigestOf(fmt.Append(nil, n)), URL: fmt.Sprintf("https://airlock-%d.acme.example:7070", n)}
}

// The server that was joined last comes first; one URL is one server.
func TestRemember(t *testing.T) {
	h := open(t, t.TempDir())
	if list, err := h.Servers(); err != nil || len(list) != 0 {
		t.Errorf("a new home: %v, %v", list, err)
	}
	again := aServer(1)
	again.Pin = storage.DigestOf([]byte("a new key"))
	for _, s := range []Server{aServer(1), aServer(2), again} {
		if err := h.Remember(s); err != nil {
			t.Fatal(err)
		}
	}
	list, err := h.Servers()
	if err != nil || len(list) != 2 || list[0].URL != again.URL || list[0].Pin != again.Pin || list[1].URL != aServer(2).URL {
		t.Errorf("%+v, %v", list, err)
	}
	for n := range maxServers + 3 {
		if err := h.Remember(aServer(n)); err != nil {
			t.Fatal(err)
		}
	}
	if list, err = h.Servers(); err != nil || len(list) != maxServers || list[0].URL != aServer(maxServers+2).URL {
		t.Errorf("%d servers, %v", len(list), err)
	}
}

func TestServersRefused(t *testing.T) {
	good, err := os.ReadFile(filepath.Join("testdata", "servers.json"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := parseServers(good)
	if err != nil || len(list) != 2 {
		t.Fatalf("servers.json: %d, %v", len(list), err)
	}
	if b, err := signing.MarshalCanonical(servers{serversFormat, list}); err != nil || !bytes.Equal(b, good) {
		t.Errorf("servers.json becomes %s, %v", b, err)
	}
	many := servers{Format: serversFormat}
	for n := range maxServers + 1 {
		many.Servers = append(many.Servers, aServer(n))
	}
	tooMany, err := signing.MarshalCanonical(many)
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{
		"at most 64":               tooMany,
		`want "airlock-servers 1"`: bytes.Replace(good, []byte("servers 1"), []byte("servers 2"), 1),
		"want logKey of 32 bytes":  bytes.Replace(good, []byte(`"logKey":"BwcH`), []byte(`"logKey":"`), 1),
		"canonical":                append(bytes.Clone(good), '\n'),
	} {
		if _, err := parseServers(b); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	h := open(t, t.TempDir())
	if err := os.WriteFile(h.file("servers.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Servers(); err == nil || !strings.Contains(err.Error(), "servers.json") {
		t.Errorf("a damaged file: %v", err)
	}
}

func FuzzServers(f *testing.F) {
	b, err := signing.MarshalCanonical(servers{serversFormat, []Server{aServer(1)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"format":"airlock-servers 1","servers":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseServers(b)
		if err != nil {
			return
		}
		if again, err := signing.MarshalCanonical(servers{serversFormat, list}); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s becomes %s, %v", b, again, err)
		}
	})
}
