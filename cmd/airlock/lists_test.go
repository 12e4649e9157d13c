package main

import (
	"os"
	"testing"

	"airlock/feed/feedtest"
	"airlock/trust"
)

// What is pushed brings trust lists as what is pulled does, also one that lies in the
// inbox since before they were heeded.
func TestListsPushed(t *testing.T) {
	s := newInboxSite(t)
	list := func(version string) {
		s.Publish("trust-list/acme@"+version, feedtest.Text("acme.yaml", "apiVersion: airlock.example/v1\nkind: TrustList\nname: acme\nversion: \""+version+"\"\nedges: []\n"))
	}
	want := func(pkg string) {
		t.Helper()
		lists, err := s.in.home.Lists()
		if err != nil || pkg == "" && len(lists) > 0 || pkg != "" && (len(lists) != 1 || lists[0].Package != pkg) {
			t.Errorf("heeds %v, %v; want %q", lists, err, pkg)
		}
		view, err := s.in.home.View(s.Space.Name)
		s.check(err)
		item := trust.Item{Feed: "shared", Kind: "file", Name: "a", Version: "1", Right: trust.MayPublish}
		if err := view.Authorize(item, feedtest.Now); (err == nil) != (pkg == "") {
			t.Errorf("with %q: %v", pkg, err)
		}
	}
	push := func(from int64) {
		t.Helper()
		_, err := s.take(s.stream(s.Source(), from, s.Key, nil))
		s.check(err)
	}
	list("1")
	push(0)
	want("")
	policy := s.in.home.PolicyFile(s.Space.Name)
	b, err := os.ReadFile(policy)
	s.check(err)
	s.check(os.WriteFile(policy, append(b, "trustLists: narrow\n"...), 0o600))
	s.Publish("file/a@1")
	push(3)
	want("trust-list/acme@1") // the inbox has it from before
	list("2")
	push(4)
	want("trust-list/acme@2")
}
