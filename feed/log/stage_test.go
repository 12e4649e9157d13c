package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"airlock/feed"
	"airlock/storage"
)

// TestStagedExample compares the format with the bytes in testdata, and takes no
// other form.
func TestStagedExample(t *testing.T) {
	want, err := os.ReadFile("testdata/statements.bin")
	if err != nil {
		t.Fatal(err)
	}
	got := formatStaged([][]byte{[]byte(`{"a":1}`), []byte(`{"b":2}`)})
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	for name, b := range map[string][]byte{
		"cut off in the number":     want[:len(stagedHeader)+1],
		"cut off in a statement":    want[:len(want)-1],
		"a statement more":          append(bytes.Clone(want), want[len(stagedHeader)+2:]...),
		"none":                      []byte(stagedHeader + "\x00\x00"),
		"one, which is never so":    append([]byte(stagedHeader+"\x00\x01"), want[len(stagedHeader)+2:len(stagedHeader)+13]...),
		"more than a segment holds": []byte(stagedHeader + "\x01\x01"),
	} {
		if _, err := parseStaged(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestStagedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		statement := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 50), func(b []byte) []byte { return append([]byte("{"), b...) })
		want := rapid.SliceOfN(statement, 2, feed.SegmentSize).Draw(t, "statements")
		got, err := parseStaged(formatStaged(want))
		if err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("%d statements, %v; want %d", len(got), err, len(want))
		}
	})
}

func FuzzStaged(f *testing.F) {
	f.Add(formatStaged([][]byte{[]byte(`{"a":1}`), []byte(`{"b":2}`)}))
	f.Add([]byte(`{"alone":1}`))
	f.Add([]byte(stagedHeader))
	f.Fuzz(func(t *testing.T, b []byte) {
		statements, err := parseStaged(b)
		if err != nil {
			return
		}
		again := statements[0]
		if len(statements) > 1 {
			again = formatStaged(statements)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%q becomes %q", b, again)
		}
	})
}

// slowObjects hold each Put until they are let go, and count.
type slowObjects struct {
	storage.Objects
	held chan struct{}
	mu   sync.Mutex
	puts []string
	err  error
}

func (o *slowObjects) Put(ctx context.Context, ref storage.Ref, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	<-o.held
	o.mu.Lock()
	defer o.mu.Unlock()
	o.puts = append(o.puts, string(b))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return o.err
}

// TestStageTogether: whoever comes while one object is written shares the next, and
// each is told where its statement lies. Who leaves keeps nobody from it.
func TestStageTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &slowObjects{held: make(chan struct{})}
		l := &Log{objects: to, stages: newStages()}
		var lies [5]storage.Digest
		var leaves []context.CancelFunc
		var waiting sync.WaitGroup
		for i := range lies {
			ctx, leave := context.WithCancel(t.Context())
			leaves = append(leaves, leave)
			waiting.Go(func() {
				var err error
				if lies[i], err = l.stage(ctx, numbered(i, 1)); (i == 0 || i == 4) != errors.Is(err, context.Canceled) {
					t.Errorf("statement %d: %v", i, err)
				}
			})
			synctest.Wait()
		}
		leaves[0]() // its own is being written
		leaves[4]() // waits
		synctest.Wait()
		close(to.held)
		waiting.Wait()
		if len(to.puts) != 2 || to.puts[0] != `{"n":0}` || strings.Count(to.puts[1], `"n"`) != 4 {
			t.Fatalf("%d objects: %q", len(to.puts), to.puts)
		}
		for i, d := range lies[1:4] {
			if want := storage.DigestOf([]byte(to.puts[1])); d != want {
				t.Errorf("statement %d lies in %s, want %s", i+1, d, want)
			}
		}
	})
}

// TestStageFails tells all who shared an object that it could not be written.
func TestStageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &slowObjects{held: make(chan struct{}), err: storage.ErrNoSpace}
		l := &Log{objects: to, stages: newStages()}
		var waiting sync.WaitGroup
		for i := range 3 {
			waiting.Go(func() {
				if _, err := l.stage(t.Context(), numbered(i, 1)); !errors.Is(err, storage.ErrNoSpace) {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		close(to.held)
		waiting.Wait()
	})
}

// TestStageFull: an object holds no more statements than a segment.
func TestStageFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &slowObjects{held: make(chan struct{})}
		l := &Log{objects: to, stages: newStages()}
		var waiting sync.WaitGroup
		for i := range 4 {
			waiting.Go(func() { _, _ = l.stage(t.Context(), numbered(200*i, 200)) })
			synctest.Wait()
		}
		close(to.held)
		waiting.Wait()
		for _, p := range to.puts {
			if n := strings.Count(p, `"n"`); n != 200 {
				t.Errorf("an object of %d statements", n)
			}
		}
	})
}

// numbered returns n things that look like statements.
func numbered(first, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, `{"n":%d}`, first+i)
	}
	return out
}
