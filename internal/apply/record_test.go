package apply

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/storage"
)

// TestDirRecords: an index or a journal that was tampered with leads nowhere.
func TestDirRecords(t *testing.T) {
	const item = `{"files":[{"digest":"sha256:` + zeros + `","path":"x","size":1}],"index":1,"kind":"k","manifest":"sha256:` + zeros + `","name":"n","statement":"sha256:` + zeros + `","version":"1"}`
	index := `{"feeds":[{"epoch":1,"feed":"a/b/c","items":[` + item + `],"lineage":"sha256:` + zeros + `","root":"sha256:` + zeros + `","size":2,"when":"2026-03-04T05:06:07Z"}],"folders":["k","k/n"],"format":"airlock-dir 1"}`
	journal := `{"folders":["k/n"],"format":"airlock-journal 2","index":"sha256:` + zeros + `","moves":[{"digest":"sha256:` + zeros + `","path":"k/n/x","size":1}],"removals":[{"digest":"sha256:` + zeros + `","path":"k/n/y","size":1}],"stage":".airlock/stage/abc"}`
	parse := map[string]func(string) error{
		index:   func(s string) error { _, err := parseDirIndex("index.json", []byte(s)); return err },
		journal: func(s string) error { _, err := parseJournal("journal.json", []byte(s)); return err },
	}
	for good, p := range parse {
		if err := p(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, c := range []struct{ doc, old, new, want string }{
		{index, `"path":"x"`, `"path":"../../x"`, "leaves its folder"},
		{index, `"name":"n"`, `"name":".."`, "items[0]"},
		{index, `"k","k/n"`, `"../x"`, "folders[0]"},
		{index, `"k","k/n"`, `"k/n","k"`, "folders[1]"},
		{index, item, item + "," + item, "items[1]"},
		{index, `2026-03-04T05:06:07Z`, `yesterday`, "when"},
		{index, `"version":"1"}`, `"version":"1","when":"yesterday"}`, "items[0]: when"},
		{index, `"size":1`, `"size":-1`, "-1 bytes"},
		{index, `airlock-dir 1`, `airlock-dir 2`, `"airlock-dir 2"`},
		{index, `"size":2`, `"size": 2`, "canonical"},
		{journal, `k/n/x`, `../x`, "leaves its folder"},
		{journal, `k/n/y`, `/etc/x`, "absolute"},
		{journal, `["k/n"]`, `[".airlock"]`, "kept for Airlock"},
		{journal, `stage/abc`, `stage/../../abc`, "stage"},
		{journal, `journal 2`, `journal 7`, "journal 7"},
	} {
		err := parse[c.doc](strings.ReplaceAll(c.doc, c.old, c.new))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: got %v, want %q in it", c.new, c.old, err, c.want)
		}
	}
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// TestDirOfAnotherVersion: a folder of an unknown format is left as it is.
func TestDirOfAnotherVersion(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, indexName), `{"format":"airlock-dir 9"}`)
	s := newShelf(t, "acme/dev/shared")
	s.publish("k/a@1", files{"x": "1"})
	_, _, err := s.pull(t.Context(), openDir(t, dir), false)
	var unknown *storage.FormatError
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "index.json") {
		t.Errorf("got %v", err)
	}
	if got := tree(t, dir); len(got) > 0 {
		t.Errorf("the folder holds %v", got)
	}
}

func fuzzRecord(f *testing.F, parse func([]byte) (any, error), seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parse(b)
		if err != nil {
			return
		}
		again, err := format(v)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q came back as %q (%v)", b, again, err)
		}
	})
}

func FuzzDirIndex(f *testing.F) {
	dir := f.TempDir()
	s := newShelf(f, "acme/dev/shared")
	s.publish("k/a@1", files{"x": "1", "y/z": "2"})
	s.mustPull(openDir(f, dir), false)
	b, err := os.ReadFile(filepath.Join(dir, indexName))
	ok(f, err)
	fuzzRecord(f, func(b []byte) (any, error) { return parseDirIndex("index.json", b) }, string(b), `{"format":"airlock-dir 1"}`, `{}`, "")
}

func FuzzJournal(f *testing.F) {
	j := &journal{Folders: []string{"k"}, Format: journalFormat, Moves: []moveDoc{{Path: "k/a/x", Over: &storage.Ref{Size: 1}}}, Stage: stageFolder + "/abc"}
	b, err := format(j)
	ok(f, err)
	fuzzRecord(f, func(b []byte) (any, error) { return parseJournal("journal.json", b) }, string(b), `{}`, "")
}

func FuzzExecRecord(f *testing.F) {
	e := &Exec{State: storage.NewMem(), Key: "k", Now: testClock}
	s := newShelf(f, "acme/dev/shared")
	r, err := e.load(f.Context(), s.id)
	ok(f, err)
	r.set("k/a", &Item{Ref: parseRef("k/a@1")})
	r.fail(Action{Op: Add, Ref: parseRef("k/b@1")}, errors.New("why"), testNow)
	b, err := r.format(testNow)
	ok(f, err)
	fuzzRecord(f, func(b []byte) (any, error) {
		d, err := parseExec("cell", b)
		if err != nil {
			return nil, err
		}
		_, target, _ := bytes.Cut(b, []byte(`"target":"`))
		return execDoc{Format: execFormat, Record: d, Target: strings.TrimSuffix(string(target), `"}`)}, nil
	}, string(b), `{}`, "")
}
