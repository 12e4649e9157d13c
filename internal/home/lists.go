package home

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"airlock/feed"
	"airlock/feed/kind"
	"airlock/internal/apply"
	"airlock/storage"
	"airlock/trust"
)

// Trust lists that were taken in lie as packages do in a folder that is pulled into
// (apply.Dir), a folder for each feed:
//
//	lists/<organisation>.<space>/<lineage, hexadecimal>/<feed>/
//
// They count while the policy for their publisher says so (trust.Policy.TrustLists),
// and until a newer version of the list comes or the list is withdrawn: an older
// sign of life, an approval that expired or a source that is gone lifts nothing.

// ListFileError reports a trust list that cannot be read again: nothing is let in
// without it.
type ListFileError struct {
	Folder string
	Feed   feed.ID
	Err    error
}

func (e *ListFileError) Error() string { return fmt.Sprintf("%s: %v", e.Folder, e.Err) }

// Unwrap returns what is wrong.
func (e *ListFileError) Unwrap() error { return e.Err }

// Hint is what to do next.
func (e *ListFileError) Hint() string {
	return fmt.Sprintf("a trust list that this home heeds was changed: move %s away, then airlock pull %s takes it in again", e.Folder, e.Feed)
}

func (h *Home) listsFolder(p trust.Party, feedName string) string {
	return h.file("lists", p.Space.Organisation+"."+p.Space.Name, p.Lineage.String()[len("sha256:"):], feedName)
}

// listsOf opens the folder of the lists of a feed, and reads those that it has.
func (h *Home) listsOf(p trust.Party, id feed.ID, now func() time.Time) (*apply.Dir, []apply.Item, []trust.List, error) {
	h.lists.RLock()
	defer h.lists.RUnlock()
	folder := h.listsFolder(p, id.Name)
	d, err := apply.OpenDir(folder, now)
	if err != nil {
		return nil, nil, nil, &ListFileError{folder, id, err}
	}
	items, err := d.Installed(context.Background(), id)
	if err != nil {
		return nil, nil, nil, &ListFileError{folder, id, err}
	}
	lists := make([]trust.List, len(items))
	for i, it := range items {
		if lists[i], err = h.readList(p, id, d, it); err != nil {
			return nil, nil, nil, &ListFileError{folder, id, err}
		}
	}
	return d, items, lists, nil
}

// Lists returns the trust lists that are heeded here. One that cannot be read is a
// *ListFileError.
func (h *Home) Lists() ([]trust.List, error) {
	spaces, err := os.ReadDir(h.file("lists"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []trust.List
	for _, e := range spaces {
		space, err := spaceOf(e.Name())
		if err != nil {
			continue // nothing of ours
		}
		p, err := h.policy(space)
		if errors.Is(err, fs.ErrNotExist) || err == nil && p.TrustLists == "" {
			continue // also where the trust ended
		}
		if err != nil {
			return nil, err
		}
		of, err := h.listsBy(trust.Party{Space: space, Lineage: p.Lineage})
		if err != nil {
			return nil, err
		}
		out = append(out, of...)
	}
	return out, nil
}

// Heeds reports whether the trust lists of a Space count here.
func (h *Home) Heeds(s trust.Space) bool {
	p, err := h.policy(s)
	return err == nil && p.TrustLists != ""
}

// listsBy returns the lists of all feeds of a Space.
func (h *Home) listsBy(p trust.Party) (out []trust.List, err error) {
	feeds, err := os.ReadDir(filepath.Dir(h.listsFolder(p, "x")))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range feeds {
		if trust.CheckLabel(e.Name()) != nil {
			continue
		}
		id := feed.ID{Space: p.Space, Name: e.Name()}
		_, _, lists, err := h.listsOf(p, id, time.Now)
		if err != nil {
			return nil, err
		}
		out = append(out, lists...)
	}
	return out, err
}

// newList returns a list without its edges. Its document is the first file of the
// package.
func (h *Home) newList(p trust.Party, id feed.ID, row feed.Row, file string) trust.List {
	return trust.List{Package: row.Ref.String(), Publisher: p, Feed: id.String(), Entry: row.Index, Publication: row.ID,
		File: filepath.Join(h.listsFolder(p, id.Name), row.Ref.Kind, row.Ref.Name, filepath.FromSlash(file))}
}

// readList reads a list that was taken in; its bytes are checked by their digest.
func (h *Home) readList(p trust.Party, id feed.ID, d *apply.Dir, it apply.Item) (trust.List, error) {
	if len(it.Files) == 0 {
		return trust.List{}, fmt.Errorf("%s: has no files", it.Ref)
	}
	l := h.newList(p, id, feed.Row{Ref: it.Ref, Index: it.Index, ID: it.Statement}, it.Files[0].Path)
	r, err := d.Open(context.Background(), it, 0)
	if err != nil {
		return l, err
	}
	defer r.Close()
	l.Edges, err = h.readEdges(it.Files[0].Path, it.Files[0].Ref, r)
	return l, err
}

// maxEdgesKept bounds the documents of which a home keeps what they say.
const maxEdgesKept = 64

// readEdges reads a document, whose digest r checks. One that was parsed before is
// not parsed again: every feed is judged by all lists.
func (h *Home) readEdges(file string, ref storage.Ref, r io.Reader) ([]trust.Edge, error) {
	if ref.Size > kind.MaxDocument {
		return nil, fmt.Errorf("%s: %d bytes, at most %d are allowed", file, ref.Size, kind.MaxDocument)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if edges, ok := h.edges[ref.Digest]; ok {
		return edges, nil
	}
	edges, err := kind.ParseTrustList(file, b)
	if err != nil {
		return nil, err
	}
	if h.edges == nil || len(h.edges) == maxEdgesKept {
		h.edges = map[storage.Digest][]trust.Edge{}
	}
	h.edges[ref.Digest] = edges
	return edges, nil
}
