package trust_test

import (
	"strings"
	"testing"

	"airlock/storage"
	"airlock/trust"
)

func TestInvitation(t *testing.T) {
	pin := storage.DigestOf([]byte("a key"))
	code, other := trust.NewInvitation(pin), trust.NewInvitation(pin)
	text := code.Text()
	if len(text) != len("airlock-1-")+80 || code.Pin() != pin || text == other.Text() || code.ID() == other.ID() {
		t.Errorf("%s and %s", text, other.Text())
	}
	again, err := trust.ParseInvitation(text)
	if err != nil || again != code || code.ID() != storage.DigestOf([]byte(text)) {
		t.Errorf("read back: %v", err)
	}
	if name := code.String(); name != "invitation "+code.ID().Hex()[:8] || strings.Contains(text, name[11:]) {
		t.Errorf("%q gives the code away", name)
	}
}

// A code is copied by people: what is not one of ours, to the last character, is
// refused, and never shown.
func TestParseInvitationRefuses(t *testing.T) {
	good := trust.NewInvitation(storage.DigestOf([]byte("a key"))).Text()
	flip := func(i int) string {
		c := byte('a')
		if good[i] == c {
			c = 'b'
		}
		return good[:i] + string(c) + good[i+1:]
	}
	bad := []string{"", "airlock-1-", good[:len(good)-1], good + "a", " " + good, strings.ToUpper(good), strings.Replace(good, "-1-", "-2-", 1), good[:20] + "\n" + good[20:]}
	for i := range good {
		bad = append(bad, flip(i))
	}
	for _, s := range bad {
		_, err := trust.ParseInvitation(s)
		if err == nil {
			t.Errorf("%q was taken", s)
		} else if formed := len(s) == len(good) && strings.HasPrefix(s, "airlock-1-"); !formed && !strings.Contains(err.Error(), "and 80 characters") {
			t.Errorf("%q: %v", s, err)
		} else if len(s) > 30 && strings.Contains(err.Error(), s[12:30]) {
			t.Errorf("%v shows the code", err)
		}
	}
}

func FuzzParseInvitation(f *testing.F) {
	f.Add(trust.NewInvitation(storage.DigestOf([]byte("a key"))).Text())
	f.Add("airlock-1-" + strings.Repeat("a", 80))
	f.Fuzz(func(t *testing.T, s string) {
		if i, err := trust.ParseInvitation(s); err == nil && i.Text() != s {
			t.Errorf("%q becomes %q", s, i.Text())
		}
	})
}
