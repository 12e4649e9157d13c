package storage_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"airlock/storage"
	"airlock/storage/storetest"
)

func openS3(t *testing.T, cfg storage.S3Config) *storage.Store {
	t.Helper()
	s, err := storage.OpenS3(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Objects over 16 MiB go in parts.
func TestS3Parts(t *testing.T) {
	t.Parallel()
	s := openS3(t, storetest.VersityGW(t))
	o := s.Objects("acme/dev")
	for _, size := range []int{16<<20 - 1, 16 << 20, 16<<20 + 1, 32 << 20} {
		data := storetest.Random(uint64(size), size)
		ref := storage.RefOf(data)
		wrong := bytes.Clone(data)
		wrong[size-1] ^= 1
		var digestErr *storage.DigestError
		if err := o.Put(t.Context(), ref, bytes.NewReader(wrong)); !errors.As(err, &digestErr) {
			t.Errorf("%d wrong bytes: %v", size, err)
		}
		var sizeErr *storage.SizeError
		if err := o.Put(t.Context(), ref, bytes.NewReader(data[1:])); !errors.As(err, &sizeErr) {
			t.Errorf("%d bytes, one short: %v", size, err)
		}
		if _, err := o.Stat(t.Context(), ref.Digest); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after refused puts: %v", err)
		}
		if err := o.Put(t.Context(), ref, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		body, err := o.Get(t.Context(), ref.Digest, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		_ = body.Close()
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("got %d bytes, %v, want %d", len(got), err, size)
		}
	}
}

// A store that ignores conditions is found out, and one process is still safe.
func TestS3IgnoresConditions(t *testing.T) {
	t.Parallel()
	plan := func(*http.Request) storetest.Trouble { return storetest.Trouble{Unconditional: true} }
	_, cfg := storetest.NewLossyProxy(t, storetest.VersityGW(t), plan)
	n := 0
	storetest.Run(t, func(t *testing.T) *storage.Store {
		n++
		cfg.Prefix = strings.Repeat("x", n)
		s := openS3(t, cfg)
		if s.Exclusive == "" {
			t.Fatal("the probe saw nothing")
		}
		return s
	})
}

// TestS3LostAnswers has writers count and claim files through a proxy that
// loses answers or turns them into errors after the work was done. Each
// acknowledged count is in the sum, and no conflict is false.
func TestS3LostAnswers(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(1, 2))
	plan := func(*http.Request) storetest.Trouble {
		switch p := draw.Float64(); {
		case p < 0.06:
			return storetest.Trouble{Lose: true}
		case p < 0.09:
			return storetest.Trouble{StatusAfter: http.StatusInternalServerError}
		case p < 0.12:
			return storetest.Trouble{Status: http.StatusServiceUnavailable}
		}
		return storetest.Trouble{}
	}
	_, cfg := storetest.NewLossyProxy(t, storetest.VersityGW(t), plan)
	s := openS3(t, cfg)
	if s.Exclusive != "" {
		t.Errorf("lost answers taken for ignored conditions: %s", s.Exclusive)
	}
	var wg sync.WaitGroup
	for w := range byte(4) {
		wg.Go(func() {
			for i := range byte(15) {
				count(t, s.Cells, w, i)
				own := storage.DigestOf([]byte{w, i}).Hex()
				if err := s.Files.Create(t.Context(), own, []byte(own)); err != nil {
					t.Errorf("create: %v", err)
				}
				data := storetest.Random(uint64(w)<<8+uint64(i), 5000)
				if err := s.Objects("acme/dev").Put(t.Context(), storage.RefOf(data), bytes.NewReader(data)); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	wg.Wait()
	got, _, err := s.Cells.Load(t.Context(), "ids")
	if err != nil || len(got) != 2*4*15 {
		t.Errorf("%d bytes of ids, %v, want %d", len(got), err, 2*4*15)
	}
}

// count adds an id to a cell as the log does: after an unclear answer it looks
// for its own.
func count(t *testing.T, cells storage.Cells, w, i byte) {
	id := binary.BigEndian.AppendUint16(nil, uint16(w)<<8|uint16(i))
	for {
		value, tag, err := cells.Load(t.Context(), "ids")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("load: %v", err)
			return
		}
		for at := 0; at < len(value); at += 2 {
			if bytes.Equal(value[at:at+2], id) {
				return
			}
		}
		_, err = cells.Swap(t.Context(), "ids", tag, append(value, id...))
		if err == nil {
			return
		}
		if !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrUnclear) {
			t.Errorf("swap: %v", err)
			return
		}
	}
}

// One lost answer is settled by reading back: no error, no second write.
func TestS3ReadBack(t *testing.T) {
	t.Parallel()
	proxy, cfg := storetest.NewLossyProxy(t, storetest.VersityGW(t), storetest.NoTrouble)
	s := openS3(t, cfg)
	lost := false
	proxy.SetPlan(func(r *http.Request) storetest.Trouble {
		if r.Method == http.MethodPut && !lost {
			lost = true
			return storetest.Trouble{Lose: true}
		}
		return storetest.Trouble{}
	})
	puts := proxy.Seen(http.MethodPut)
	tag, err := s.Cells.Swap(t.Context(), "a", "", []byte("1"))
	if err != nil {
		t.Fatalf("swap: %v", err)
	}
	if n := proxy.Seen(http.MethodPut) - puts; n != 1 {
		t.Errorf("%d writes, want 1", n)
	}
	if _, err := s.Cells.Swap(t.Context(), "a", tag, []byte("2")); err != nil {
		t.Errorf("swap with the tag that was read back: %v", err)
	}
}

// A lost answer that cannot be settled is unclear, never a conflict.
func TestS3Unclear(t *testing.T) {
	t.Parallel()
	gateway := storetest.VersityGW(t)
	for name, trouble := range map[string]storetest.Trouble{
		"lost":         {Lose: true},
		"500":          {Status: http.StatusInternalServerError},
		"500 after it": {StatusAfter: http.StatusInternalServerError},
		"hangs":        {Hang: true},
		"gone":         {Drop: true},
		"late":         {Late: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, cfg := storetest.NewLossyProxy(t, gateway, storetest.NoTrouble)
			cfg.Timeout = 2 * time.Second
			s := openS3(t, cfg)
			proxy.SetPlan(func(*http.Request) storetest.Trouble { return trouble })
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			key := strings.ReplaceAll(name, " ", "-")
			if _, err := s.Cells.Swap(ctx, key, "", nil); !errors.Is(err, storage.ErrUnclear) || errors.Is(err, storage.ErrConflict) {
				t.Errorf("swap: got %v, want ErrUnclear", err)
			}
			if _, _, err := s.Cells.Load(ctx, key); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("load: %v", err)
			}
		})
	}
}

// A store that hangs keeps who reads for about the time-out, and says that it does
// not answer.
func TestS3Hangs(t *testing.T) {
	t.Parallel()
	proxy, cfg := storetest.NewLossyProxy(t, storetest.VersityGW(t), storetest.NoTrouble)
	cfg.Timeout = 2 * time.Second
	s := openS3(t, cfg)
	objects := s.Objects("acme/dev")
	proxy.SetPlan(func(*http.Request) storetest.Trouble { return storetest.Trouble{Hang: true} })
	for what, read := range map[string]func() error{
		"load": func() error { _, _, err := s.Cells.Load(t.Context(), "a"); return err },
		"get":  func() error { _, err := s.Files.Get(t.Context(), "a"); return err },
		"stat": func() error { _, err := objects.Stat(t.Context(), storage.DigestOf(nil)); return err },
		"open": func() error { _, err := objects.Get(t.Context(), storage.DigestOf(nil), 0); return err },
		"list": func() error {
			for _, err := range s.Files.List(t.Context(), "a/", "") {
				return err
			}
			return nil
		},
	} {
		begun := time.Now()
		if err := read(); !errors.Is(err, storage.ErrAway) {
			t.Errorf("%s: got %v, want ErrAway", what, err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s: took %s", what, took)
		}
	}
}

// A listing is asked for again.
func TestS3ListAgain(t *testing.T) {
	t.Parallel()
	proxy, cfg := storetest.NewLossyProxy(t, storetest.VersityGW(t), storetest.NoTrouble)
	s := openS3(t, cfg)
	want := []string{"a/1", "a/2", "a/3"}
	for _, key := range want {
		if err := s.Files.Create(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
	}
	lists := 0
	proxy.SetPlan(func(*http.Request) storetest.Trouble {
		lists++
		return storetest.Trouble{Drop: lists == 1}
	})
	var got []string
	for key, err := range s.Files.List(t.Context(), "a/", "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A swap that was given up and arrives afterwards takes effect once, with the one
// that was sent again or instead of it.
func TestS3Late(t *testing.T) {
	t.Parallel()
	proxy, cfg := storetest.NewLossyProxy(t, storetest.VersityGW(t), storetest.NoTrouble)
	cfg.Timeout = 2 * time.Second
	s := openS3(t, cfg)
	late := false
	proxy.SetPlan(func(r *http.Request) storetest.Trouble {
		if r.Method == http.MethodPut && !late {
			late = true
			return storetest.Trouble{Late: true}
		}
		return storetest.Trouble{Wait: time.Millisecond}
	})
	tag, err := s.Cells.Swap(t.Context(), "a", "", []byte("1"))
	if err != nil || !late {
		t.Fatalf("swap: %v", err)
	}
	if tag, err = s.Cells.Swap(t.Context(), "a", tag, []byte("2")); err != nil {
		t.Fatalf("swap with the tag of the one before: %v", err)
	}
	if value, now, err := s.Cells.Load(t.Context(), "a"); string(value) != "2" || now != tag || err != nil {
		t.Errorf("got %q with tag %s, %v, want 2 with %s", value, now, err, tag)
	}
}

func TestS3Full(t *testing.T) {
	t.Parallel()
	proxy, cfg := storetest.NewLossyProxy(t, storetest.VersityGW(t), storetest.NoTrouble)
	s := openS3(t, cfg)
	proxy.SetPlan(func(*http.Request) storetest.Trouble {
		return storetest.Trouble{Status: http.StatusInsufficientStorage}
	})
	_, err := s.Cells.Swap(t.Context(), "a", "", nil)
	for what, err := range map[string]error{
		"swap":   err,
		"create": s.Files.Create(t.Context(), "a", nil),
		"put":    s.Objects("acme/dev").Put(t.Context(), storage.RefOf(nil), bytes.NewReader(nil)),
	} {
		if !errors.Is(err, storage.ErrNoSpace) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A server may start on it, and does not take it for one that ignores conditions.
	proxy.SetPlan(func(r *http.Request) storetest.Trouble {
		if r.Method != http.MethodPut {
			return storetest.Trouble{}
		}
		return storetest.Trouble{Status: http.StatusInsufficientStorage}
	})
	full, err := storage.OpenS3(t.Context(), cfg)
	if err != nil || full.Exclusive != "" || !strings.Contains(full.Untried, "no room left") {
		t.Errorf("opened with %v, %+v", err, full)
	}
}

// The bytes under a marker, and what no version wrote.
func TestS3Format(t *testing.T) {
	t.Parallel()
	cfg := storetest.VersityGW(t)
	openS3(t, cfg)
	openS3(t, cfg) // a second time
	var formatErr *storage.FormatError
	cfg.Prefix = "files/a" // where the store above keeps others' files
	s := openS3(t, storage.S3Config{Endpoint: cfg.Endpoint, Bucket: cfg.Bucket, AccessKey: cfg.AccessKey, SecretKey: cfg.SecretKey})
	if err := s.Files.Create(t.Context(), "a/b", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.OpenS3(t.Context(), cfg); !errors.As(err, &formatErr) {
		t.Errorf("something else there: %v", err)
	}
	if err := s.Files.Create(t.Context(), "c/format", []byte("airlock-store 3\n")); err != nil {
		t.Fatal(err)
	}
	cfg.Prefix = "files/c"
	if _, err := storage.OpenS3(t.Context(), cfg); !errors.As(err, &formatErr) || formatErr.Got != "airlock-store 3\n" {
		t.Errorf("later version: %v", err)
	}
}

// A store of the format before is opened for raising its marker, and then as any.
func TestS3Raise(t *testing.T) {
	t.Parallel()
	cfg := storetest.VersityGW(t)
	env := map[string]string{"AIRLOCK_S3_ENDPOINT": cfg.Endpoint, "AWS_ACCESS_KEY_ID": cfg.AccessKey, "AWS_SECRET_ACCESS_KEY": cfg.SecretKey}
	getenv := func(name string) string { return env[name] }
	outer := openS3(t, cfg)
	if err := outer.Files.Create(t.Context(), "old/format", []byte(storage.Earlier)); err != nil {
		t.Fatal(err)
	}
	cfg.Prefix += "files/old"
	spec := "s3://" + cfg.Bucket + "/" + cfg.Prefix
	var formatErr *storage.FormatError
	if _, err := storage.Open(t.Context(), spec, getenv); !errors.As(err, &formatErr) || formatErr.Got != storage.Earlier {
		t.Errorf("before: %v", err)
	}
	s, raise, err := storage.OpenEarlier(t.Context(), spec, getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(raise(t.Context()), raise(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	openS3(t, cfg)
	if _, _, err := storage.OpenEarlier(t.Context(), spec, getenv); !errors.As(err, &formatErr) || formatErr.Got != storage.Format {
		t.Errorf("after: %v", err)
	}
}

// A bucket is not made: it is named wrongly, or made by who runs it.
func TestS3NoBucket(t *testing.T) {
	t.Parallel()
	cfg := storetest.VersityGW(t)
	cfg.Bucket = "absent"
	if _, err := storage.OpenS3(t.Context(), cfg); !errors.Is(err, storage.ErrNoBucket) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ErrNoBucket", err)
	}
}

// Who opens what must exist writes no marker.
func TestS3Existing(t *testing.T) {
	t.Parallel()
	cfg := storetest.VersityGW(t)
	env := map[string]string{"AIRLOCK_S3_ENDPOINT": cfg.Endpoint, "AWS_ACCESS_KEY_ID": cfg.AccessKey, "AWS_SECRET_ACCESS_KEY": cfg.SecretKey}
	spec := "s3://" + cfg.Bucket + "/absent"
	existing := func() error {
		_, err := storage.OpenExisting(t.Context(), spec, func(name string) string { return env[name] })
		return err
	}
	for range 2 {
		if err := existing(); !errors.Is(err, storage.ErrNoStore) {
			t.Errorf("got %v, want ErrNoStore", err)
		}
	}
	if _, err := storage.Open(t.Context(), spec, func(name string) string { return env[name] }); err != nil {
		t.Fatal(err)
	}
	if err := existing(); err != nil {
		t.Error(err)
	}
}

// What is longer than a file can be is not read: nobody here wrote it.
func TestS3TooLong(t *testing.T) {
	t.Parallel()
	cfg := storetest.VersityGW(t)
	cfg.Prefix = "a"
	files := openS3(t, cfg).Files
	cfg.Prefix = "a/files" // where the files of the store above are
	const size = storage.MaxFile + 1
	ref := storage.Ref{Digest: storage.DigestOf(make([]byte, size)), Size: size}
	if err := openS3(t, cfg).Objects("acme/dev").Put(t.Context(), ref, io.LimitReader(zeros{}, size)); err != nil {
		t.Fatal(err)
	}
	hex := ref.Digest.Hex()
	if _, err := files.Get(t.Context(), "objects/acme/dev/"+hex[:2]+"/"+hex); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("got %v", err)
	}
}

func TestS3FromEnv(t *testing.T) {
	const secret = "s3cr3t-key"
	base := map[string]string{"AIRLOCK_S3_ACCESS_KEY": "id", "AIRLOCK_S3_SECRET_KEY": secret}
	for _, test := range []struct{ spec, endpoint, insecure, want string }{
		{"s3://", "http://127.0.0.1:1", "", "no bucket"},
		{"s3://b/../c", "http://127.0.0.1:1", "", `".."`},
		{"s3://b/C", "http://127.0.0.1:1", "", "character"},
		{"s3://b", "http://s3.example.org", "", "in clear"},
		{"s3://b", "ftp://s3.example.org", "", "want https"},
		{"s3://b", "https://id:" + secret + "@s3.example.org", "", "scheme and host only"},
		{"s3://b", "https://id:" + secret + "@s3.example.org:port", "", "not a URL"},
		{"s3://b", "https://s3.example.org/path", "", "scheme and host only"},
		{"s3://b", "s3.example.org", "", "scheme and host only"},
	} {
		getenv := func(name string) string {
			switch name {
			case "AIRLOCK_S3_ENDPOINT":
				return test.endpoint
			case "AIRLOCK_S3_INSECURE":
				return test.insecure
			}
			return base[name]
		}
		_, err := storage.Open(t.Context(), test.spec, getenv)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s at %s: got %v, want %q", test.spec, test.endpoint, err, test.want)
		}
	}
	aws := map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
	cfg, err := storage.S3FromEnv("s3://bucket/some/prefix/", func(name string) string { return aws[name] })
	want := storage.S3Config{Bucket: "bucket", Prefix: "some/prefix", AccessKey: "a", SecretKey: "b", SessionToken: "c"}
	if err != nil || cfg != want {
		t.Errorf("got %+v, %v", cfg, err)
	}
}

// Wrong credentials are one clear error that does not show them.
func TestS3Refused(t *testing.T) {
	t.Parallel()
	cfg := storetest.VersityGW(t)
	cfg.SecretKey = "not-the-secret"
	if _, err := storage.OpenS3(t.Context(), cfg); err == nil || strings.Contains(err.Error(), cfg.SecretKey) {
		t.Errorf("wrong secret: %v", err)
	}
}
