// Package feedtest makes feeds for tests: real statements by a real Space, in
// a log on any store (World) or in memory without any rules (Tape), and the
// sources to read them from, honest and not.
//
//	w := feedtest.New(t, storage.NewMem())
//	w.Publish("file/motd@1", feedtest.Text("motd.txt", "hello"))
//	w.Withdraw("file/motd@1")
//	state, report, err := w.Follower(w.Source()).Sync(t.Context(), w.ID)
//
// A Tape takes whatever it is given and signs it, as a careless or lying log
// operator would:
//
//	tape := feedtest.NewTape(w.Author)
//	tape.Add(w.Author.Opening()...)
//	tape.Add(stolen)
package feedtest

import (
	"strings"
	"testing"

	"airlock/feed"
	"airlock/storage"
)

// File is a payload file.
type File struct {
	Path string
	Data []byte
}

// Text returns a file.
func Text(path, data string) File { return File{path, []byte(data)} }

// ParseRef reads "<kind>/<name>@<version>".
func ParseRef(s string) feed.Ref {
	kind, rest, _ := strings.Cut(s, "/")
	name, version, _ := strings.Cut(rest, "@")
	return feed.Ref{Kind: kind, Name: name, Version: version}
}

// Key returns a log key made from one byte.
func Key(seed byte) feed.LogKey {
	b := make([]byte, 32)
	b[0] = seed
	key, _ := feed.NewLogKey(b) // 32 bytes make a key
	return key
}

// bytesOf maps objects to their bytes.
type bytesOf map[storage.Digest][]byte

func (o bytesOf) add(b []byte) storage.Digest {
	d := storage.DigestOf(b)
	o[d] = b
	return d
}

func check(tb testing.TB, err error) {
	if err != nil {
		tb.Helper()
		tb.Fatal(err)
	}
}
