package home

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// believed are what people and commands change in a home and what decides about
// packages.
var believed = []string{"trust", "approvals", "scans", "space.id"}

// Watermark returns a text that is another one once policies, identities, approvals,
// trust lists or verdicts of scanners changed, or the other files and folders that are named. It
// goes by names, sizes and dates, and reads nothing.
func (h *Home) Watermark(others ...string) string {
	var out strings.Builder
	for _, name := range believed {
		mark(&out, h.file(name))
	}
	lists, _ := filepath.Glob(h.file("lists", "*", "*", "*", ".airlock")) // its index, which is swapped last
	for _, folder := range lists {
		mark(&out, folder)
	}
	for _, path := range others {
		mark(&out, path)
	}
	return out.String()
}

// SubscriptionsMark is Watermark for the files of subscriptions alone.
func (h *Home) SubscriptionsMark() string {
	var out strings.Builder
	mark(&out, h.file("subscriptions"))
	return out.String()
}

func mark(out *strings.Builder, path string) {
	info, err := os.Stat(path)
	if err != nil {
		return // what is not there has no line
	}
	fmt.Fprintln(out, path, info.Size(), info.ModTime().UnixNano())
	entries, err := os.ReadDir(path)
	if err != nil {
		return // a file
	}
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(path, e.Name())); err == nil && !info.IsDir() {
			fmt.Fprintln(out, e.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
}
