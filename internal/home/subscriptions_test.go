package home

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"airlock/feed/kind"
)

const subscription = "apiVersion: airlock.example/v1\nkind: Subscription\nname: shop\nfeeds: [acme/dev-qa/shared]\n"

func TestSubscriptions(t *testing.T) {
	h := open(t, t.TempDir())
	if all, err := h.Subscriptions(); err != nil || len(all) != 0 {
		t.Errorf("at first: %v, %v", all, err)
	}
	before := h.SubscriptionsMark()
	if err := h.AddSubscription("shop", []byte(subscription)); err != nil {
		t.Fatal(err)
	}
	if err := h.AddSubscription("shop", []byte(subscription)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("added again: %v", err)
	}
	if h.SubscriptionsMark() == before {
		t.Error("a new subscription leaves no mark")
	}
	for name, text := range map[string]string{
		"b-other-name.yaml": subscription,
		"c-broken.yaml":     strings.Replace(subscription, "feeds", "feds", 1),
		"d-large.yaml":      subscription + strings.Repeat("#", kind.MaxSubscription),
		".new-1.yaml":       subscription,
		"notes.txt":         "x",
	} {
		if err := os.WriteFile(h.file("subscriptions", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := h.Subscriptions()
	if err != nil || len(all) != 4 {
		t.Fatalf("%d subscriptions, %v", len(all), err)
	}
	for i, want := range []string{`b-other-name.yaml: name: want "b-other-name" as the file is called, got "shop"`, "c-broken.yaml:4:1: feds: want a known field", "d-large.yaml: more than", ""} {
		if got := all[i].Err; want == "" && got != nil || want != "" && (got == nil || !strings.Contains(got.Error(), want)) {
			t.Errorf("%s: %v, want %s", all[i].File, got, want)
		}
	}
	if err := h.RemoveSubscription("shop"); err != nil {
		t.Error(err)
	}
	if all, err := h.Subscriptions(); err != nil || len(all) != 3 {
		t.Errorf("after the removal: %d, %v", len(all), err)
	}
}

func TestOneAgent(t *testing.T) {
	h := open(t, t.TempDir())
	release, err := h.LockAgent()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.LockAgent(); !errors.Is(err, ErrAgent) || !strings.Contains(err.Error(), h.Path()) {
		t.Errorf("a second agent: %v", err)
	}
	release()
	release, err = h.LockAgent()
	if err != nil {
		t.Fatal(err)
	}
	release()
}

// TestWatermark: what people change shows, and nothing else.
func TestWatermark(t *testing.T) {
	h := open(t, t.TempDir())
	folder := t.TempDir()
	seen := map[string]bool{h.Watermark(folder): true}
	for _, file := range []string{h.file("trust", "acme.dev-qa.yaml"), folder + "/bob.json", h.file("space.id")} {
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if mark := h.Watermark(folder); seen[mark] {
			t.Errorf("%s leaves no mark", file)
		} else {
			seen[mark] = true
		}
	}
	if err := os.WriteFile(h.file("audit.log"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !seen[h.Watermark(folder)] {
		t.Error("a log leaves a mark")
	}
}
