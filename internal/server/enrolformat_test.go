package server

import (
	"bytes"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"airlock/signing"
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
