package trust_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"airlock/trust"
)

func TestParseSpaceRefuses(t *testing.T) {
	for _, bad := range []string{
		"", "/", "acme", "acme/", "/dev", "acme/dev/x", "acme//dev", "../dev", "acme/..", "acme/.", "acme\\dev", "acme/dev\n", " acme/dev", "acme/dev ",
		"Acme/dev", "acme/DEV", "acme/-dev", "acme/dev-", "acme/d_v", "acme/d.v", "acme/d\x00v", "acme/d\xffv", "acme/dév", "acme/d\u0435v", "acme/ｄev", "acme/d%65v",
		"acme/con", "nul/dev", "acme/com1", "acme/lpt9", "SPACE://acme/dev", "space:///acme/dev", "space://space://acme/dev", "https://acme/dev",
		"acme/" + strings.Repeat("a", 64), strings.Repeat("a", 1<<20),
	} {
		if s, err := trust.ParseSpace(bad); err == nil {
			t.Errorf("%.80q is the space %s", bad, s)
		} else if len(err.Error()) > 1000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
}

func TestSpaceRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		label := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`).Filter(func(s string) bool { return !trust.IsDeviceName(s) })
		in := trust.Space{Organisation: label.Draw(t, "organisation"), Name: label.Draw(t, "name")}
		for _, text := range []string{in.String(), in.URI()} {
			if out, err := trust.ParseSpace(text); err != nil || out != in {
				t.Errorf("%s became %v, %v", text, out, err)
			}
		}
	})
}

func FuzzSpace(f *testing.F) {
	f.Add("acme/dev-qa")
	f.Add("space://acme/dev-qa")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := trust.ParseSpace(text)
		if err == nil && s.String() != text && s.URI() != text {
			t.Errorf("%q became %s", text, s)
		}
	})
}

func TestIsDeviceName(t *testing.T) {
	for name, want := range map[string]bool{
		"con": true, "CON": true, "con.txt": true, "con .txt": true, "nul.tar.gz": true, "prn": true, "aux": true, "conin$": true, "CONOUT$": true,
		"com1": true, "com0": true, "com¹": true, "LPT³.txt": true, "lpt9": true,
		"": false, "com": false, "com10": false, "lpt": false, "console": false, "icon": false, "config": false, "a.con": false, "comx": false,
	} {
		if got := trust.IsDeviceName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
