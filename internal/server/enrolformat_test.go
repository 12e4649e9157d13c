package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// enrolmentFiles are the examples of docs/formats.md, by the file that they are of.
var enrolmentFiles = map[string]string{
	invitationFile: "testdata/enrolment-invitation.json",
	requestFile:    "testdata/enrolment-request.json",
	decisionFile:   "testdata/enrolment-decision.json",
}

// document is an empty document for each file of an enrolment.
func document(file string) any {
	switch file {
	case invitationFile:
		return &invitation{}
	case requestFile:
		return &request{}
	}
	return &decision{}
}

// The byte-exact examples of docs/formats.md.
func TestEnrolmentExamples(t *testing.T) {
	for file, name := range enrolmentFiles {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		raw = bytes.TrimSuffix(raw, []byte("\n"))
		if err := new(Enrolment).read(file, raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		doc := document(file)
		if err := signing.UnmarshalCanonical(raw, doc); err != nil {
			t.Fatal(err)
		}
		again, err := signing.MarshalCanonical(doc)
		if err != nil {
			t.Fatal(err)
		}
		wantFile(t, name, again)
	}
}

// TestEnrolmentReadBack writes any enrolment and reads it back: all of it is there again,
// and it has one form.
func TestEnrolmentReadBack(t *testing.T) {
	identities := [2]*trusttest.Space{trusttest.New(t, "acme/dev-qa"), trusttest.New(t, "acme/production")}
	label := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`).Filter(func(s string) bool { return !trust.IsDeviceName(s) })
	spaces := rapid.Custom(func(t *rapid.T) trust.Space {
		return trust.Space{Organisation: label.Draw(t, "organisation"), Name: label.Draw(t, "name")}
	})
	times := rapid.Map(rapid.Int64Range(0, 1<<37), func(s int64) time.Time { return time.Unix(s, 0).UTC() })
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.SliceOfN(rapid.Byte(), 32, 32).Filter(func(b []byte) bool { return storage.Digest(b) != storage.Digest{} })
		in := Invite{Space: rapid.OneOf(rapid.Just(trust.Space{}), spaces).Draw(t, "space"), Group: rapid.OneOf(rapid.Just(""), label).Draw(t, "group"),
			Until: times.Draw(t, "until"), Pin: storage.Digest(digits.Draw(t, "pin"))}
		invited := &invitation{Expires: signing.FormatTime(in.Until), Format: invitationFormat, Group: in.Group, Pin: in.Pin}
		if in.Space != (trust.Space{}) {
			invited.Space = in.Space.String()
		}
		of, asked := identities[rapid.IntRange(0, 1).Draw(t, "identity")], times.Draw(t, "asked")
		sent := &request{Address: rapid.StringMatching(`[0-9a-f.:]{0,45}`).Draw(t, "address"), Format: requestFormat, Identity: of.File(),
			Proof: rapid.SliceOf(rapid.Byte()).Draw(t, "proof"), Time: signing.FormatTime(asked)}
		said := &decision{Confirmed: rapid.Bool().Draw(t, "confirmed"), Format: decisionFormat, Time: signing.FormatTime(times.Draw(t, "decided"))}

		var got Enrolment
		for file, doc := range map[string]any{invitationFile: invited, requestFile: sent, decisionFile: said} {
			b, err := signing.MarshalCanonical(doc)
			if err == nil {
				err = got.read(file, b)
			}
			if err != nil {
				t.Fatalf("%s: %s: %v", file, b, err)
			}
			hasOneForm(t, file, b)
		}
		if got.Invite != in || got.Address != sent.Address || !got.Asked.Equal(asked) || got.History.Lineage() != of.Lineage() || !got.Decided || got.Confirmed != said.Confirmed {
			t.Errorf("%+v, %+v, %+v are read as %+v", in, sent, said, got)
		}
	})
}

// hasOneForm holds that a document is written as it was read, and is read in no other
// form.
func hasOneForm(t *rapid.T, file string, b []byte) {
	doc := document(file)
	if err := signing.UnmarshalCanonical(b, doc); err != nil {
		t.Fatal(err)
	}
	if again, err := signing.MarshalCanonical(doc); err != nil || !bytes.Equal(b, again) {
		t.Errorf("%s: %s becomes %s, %v", file, b, again, err)
	}
	var other bytes.Buffer
	if err := json.Indent(&other, b, "", " "); err != nil {
		t.Fatal(err)
	}
	if new(Enrolment).read(file, other.Bytes()) == nil {
		t.Errorf("%s: %s is taken as well", file, other.Bytes())
	}
}

// TestEnrolmentRefused reads what nobody wrote.
func TestEnrolmentRefused(t *testing.T) {
	example := func(file string) string {
		raw, err := os.ReadFile(enrolmentFiles[file])
		if err != nil {
			t.Fatal(err)
		}
		return string(bytes.TrimSuffix(raw, []byte("\n")))
	}
	swap := func(file, old, with string) string {
		text := example(file)
		if !strings.Contains(text, old) {
			t.Fatalf("%s: no %q", file, old)
		}
		return strings.Replace(text, old, with, 1)
	}
	for _, c := range []struct{ file, text, want string }{
		{invitationFile, swap(invitationFile, "invitation 1", "invitation 2"), `want "airlock-invitation 1"`},
		{invitationFile, swap(invitationFile, `"2026-`, `"26-`), "want a time and a thumbprint"},
		{invitationFile, swap(invitationFile, `"acme/dev-qa"`, `"acme"`), "acme"},
		{invitationFile, strings.Repeat(" ", maxSmall+1), "at most 4096 are allowed"},
		{requestFile, swap(requestFile, "enrolment 1", "enrolment 2"), `want "airlock-enrolment 1"`},
		{requestFile, swap(requestFile, `"2026-`, `"26-`), "26-"},
		{requestFile, swap(requestFile, `"identity":"`, `"identity":"AAAA`), "identity file"},
		{requestFile, strings.Repeat(" ", maxRequest+1), "at most 1052672 are allowed"},
		{decisionFile, swap(decisionFile, "decision 1", "decision 2"), `want "airlock-decision 1"`},
		{decisionFile, strings.Repeat(" ", maxSmall+1), "at most 4096 are allowed"},
		{decisionFile, example(decisionFile) + "\n", "canonical"},
	} {
		if err := new(Enrolment).read(c.file, []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %.60s: %v, want %q", c.file, c.text, err, c.want)
		}
	}
}

func FuzzEnrolment(f *testing.F) {
	for file, name := range enrolmentFiles {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file, bytes.TrimSuffix(raw, []byte("\n")))
	}
	s := trusttest.New(f, "acme/dev-qa")
	f.Add(requestFile, []byte(`{"address":"","format":"airlock-enrolment 1","identity":"`+base64.StdEncoding.EncodeToString(s.File())+`","proof":"","time":"2026-11-01T12:00:00Z"}`))
	f.Fuzz(func(t *testing.T, file string, b []byte) {
		if _, ok := enrolmentFiles[file]; !ok || new(Enrolment).read(file, b) != nil {
			return
		}
		doc := document(file)
		if err := signing.UnmarshalCanonical(b, doc); err != nil {
			t.Fatal(err)
		}
		if again, err := signing.MarshalCanonical(doc); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s becomes %s, %v", b, again, err)
		}
	})
}
