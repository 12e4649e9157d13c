package feed

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/storage"
	"airlock/trust"
)

// bigState is what a follower keeps of a feed of so many entries, of which those
// from void on do not count.
func bigState(t *testing.T, size, void int64) *State {
	t.Helper()
	s := &State{ID: testID, Lineage: trust.Lineage{1}, Epoch: 1, LogKey: testKey(1).Public(), Index: NewIndex(),
		InForce: []InForce{{0, 1}}, Identity: 1}
	for i := range size {
		r := bigRow(i)
		if i >= void {
			r.Void = "revoked"
		}
		s.Index.Add(r)
		s.Edge.Append(tlog.Hash{byte(i)})
	}
	c, err := testKey(1).Sign(testOrigin, size, s.Edge.Root())
	if err != nil {
		t.Fatal(err)
	}
	s.Note = c.Note
	return s
}

// TestStatePages keeps a feed of more than a page, then the same feed with a
// key revoked far back, and reads each back. Then it finds pages that were
// changed or taken away, and that they are not mistaken for a feed never seen.
func TestStatePages(t *testing.T) {
	const size = PageSize + 300
	store := storage.NewMem()
	tag := ""
	for _, void := range []int64{size, PageSize - 10} {
		s := bigState(t, size, void)
		s.tag = tag
		if err := s.save(t.Context(), store); err != nil {
			t.Fatal(err)
		}
		tag = s.tag
		got, err := LoadState(t.Context(), store, s.Lineage, s.ID)
		if err != nil || !bytes.Equal(got.Index.Page(0), s.Index.Page(0)) || !bytes.Equal(got.Index.Tail(), s.Index.Tail()) {
			t.Fatalf("void from %d on: came back as another state: %v", void, err)
		}
	}
	page := bigState(t, size, PageSize-10).Index.Page(0)
	page[len(pageHeader)+16+40] ^= 1 // the manifest of row 0, which no rule is about
	for name, b := range map[string][]byte{"changed": page, "gone": nil} {
		damaged := *store
		damaged.Files = onePage{store.Files, b}
		if _, err := LoadState(t.Context(), &damaged, trust.Lineage{1}, testID); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("page %s: %v", name, err)
		}
	}
}

// onePage gives other bytes for all index pages; none for nil.
type onePage struct {
	storage.Files
	page []byte
}

func (o onePage) Get(ctx context.Context, key string) ([]byte, error) {
	if !strings.HasPrefix(key, "index/") {
		return o.Files.Get(ctx, key)
	}
	if o.page == nil {
		return nil, fs.ErrNotExist
	}
	return o.page, nil
}
