package trust_test

import (
	"strings"
	"testing"

	"airlock/trust"
)

func TestMask(t *testing.T) {
	for mask, test := range map[string]struct{ yes, no string }{
		"*":          {"1.0.0 1 2024.01.05 nightly 1.0.0-beta 1.0.0_1", ""},
		"1.4.0":      {"1.4.0", "1.4.1 1.4 1.4.0-beta 1.4.0_other 1.40"},
		"1.4":        {"1.4", "1.4.0 1.4.7 1.5"},
		"1":          {"1", "1.0.0 1.4.7"},
		"1.4.0_b5":   {"1.4.0_b5 1.4.0_B5", "1.4.0 1.4.0_b6"},
		"1.0.0-beta": {"1.0.0-beta 1.0.0-BETA", "1.0.0 1.0.0-beta.1"},
		"nightly":    {"nightly Nightly", "nightly2 1.0.0"},
		"1.2.3.4":    {"1.2.3.4", "1.2.3 1.2.3.5"},
		"2024.01.05": {"2024.01.05", "2024.1.5 2024.01.06"},
		"1.x":        {"1.0.0 1.4.7 1.4 1 1.4.0_b5 v1.2.3", "2.0.0 0.9.9 1.4.0-beta nightly 1.2.3.4"},
		"~1.4":       {"1.4.0 1.4.9", "1.5.0 1.3.9 1.4.0-rc.1"},
		"^1.4":       {"1.4.0 1.9.0", "2.0.0 1.3.9"},
		">=2, <3":    {"2.0.0 2.9.9", "1.9.9 3.0.0 2.5.0-rc.1"},
		">=2-0, <3":  {"2.0.0 2.9.9 2.5.0-rc.1", "1.9.9 3.0.0"},
		"1.x || 3.x": {"1.2.3 3.4.5", "2.0.0"},
		"1.0 - 1.5":  {"1.0.0 1.5.0", "1.6.0 0.9.0"},
		"!=1.4.0":    {"1.4.1", "1.4.0"},
	} {
		m, err := trust.ParseMask(mask)
		if err != nil {
			t.Errorf("%s: %v", mask, err)
			continue
		}
		if text, err := m.MarshalText(); err != nil || string(text) != mask {
			t.Errorf("%s is written %s, %v", mask, text, err)
		}
		for _, v := range strings.Fields(test.yes) {
			if !m.Match(v) {
				t.Errorf("%s does not select %s", mask, v)
			}
		}
		for _, v := range strings.Fields(test.no) {
			if m.Match(v) {
				t.Errorf("%s selects %s", mask, v)
			}
		}
	}
	for _, bad := range []string{"", strings.Repeat("1", 201), ">=z", "~", "1.x ||| 2", "a b", ">1 <"} {
		if m, err := trust.ParseMask(bad); err == nil {
			t.Errorf("%q is a mask: %v", bad, m)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add("1.x", "1.2.3")
	f.Add(">=2-0, <3 || ~1.4", "2.0.0-rc.1_b")
	f.Add("^99999999999999999999", "99999999999999999999.0.0")
	f.Fuzz(func(t *testing.T, mask, version string) {
		m, err := trust.ParseMask(mask)
		if err != nil {
			return
		}
		var again trust.Mask
		if err := again.UnmarshalText([]byte(m.String())); err != nil || again.Match(version) != m.Match(version) {
			t.Errorf("%q became %q, %v", mask, again, err)
		}
	})
}
