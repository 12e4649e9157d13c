package main

import (
	"slices"
	"testing"
)

// What several makers say of one package is told of each of them, and once.
func TestScannedBySender(t *testing.T) {
	by := func(space, name string) foreignScanDoc { return foreignScanDoc{name, foreignScan{Space: space}} }
	got := scannedBySender([]foreignScanDoc{by("acme/relay", "file/a@1"), by("acme/dev-qa", "file/a@1"), by("acme/dev-qa", "file/b@1"), by("acme/dev-qa", "file/a@1")})
	want := []string{
		"2 packages were scanned at the sender, acme/dev-qa: clean (that does not count here)",
		"1 package was scanned at the sender, acme/relay: clean (that does not count here)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
