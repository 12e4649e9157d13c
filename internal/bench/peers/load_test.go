package peers

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// loaded serves a small object with a tag, and returns a load for it.
func loaded(t *testing.T) Load {
	if runtime.GOOS != "linux" {
		t.Skip("CPU times are read from /proc")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(make([]byte, 2048))
	}))
	t.Cleanup(server.Close)
	return Load{URL: server.URL, PID: os.Getpid(), Connections: 2, Duration: 200 * time.Millisecond, Status: http.StatusOK, NoWrk: true}
}

func TestLoad(t *testing.T) {
	l := loaded(t)
	whole, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if whole.Requests == 0 || whole.PerCPUS <= 0 || whole.BodyBytes != 2048 {
		t.Errorf("whole answers: %+v", whole)
	}
	l.Header, l.Status = http.Header{"If-None-Match": {`"1"`}}, http.StatusNotModified
	unchanged, err := l.Run(t.Context())
	if err != nil || unchanged.Requests == 0 || unchanged.BodyBytes != 0 {
		t.Errorf("unchanged: %+v, %v", unchanged, err)
	}
}

func TestLoadRefusesAnotherAnswer(t *testing.T) {
	l := loaded(t)
	l.Status = http.StatusNotModified
	if _, err := l.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "not 304") {
		t.Errorf("an unexpected status: %v", err)
	}
}

func TestCopyAndCrypto(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("CPU times are read from /proc")
	}
	for _, name := range []string{"cp", "sync", "openssl"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	if err := RandomFile(dir+"/file", 1<<16); err != nil {
		t.Fatal(err)
	}
	if c, err := Copy(t.Context(), dir+"/file", dir); err != nil || c.Bytes != 1<<16 || c.TotalS <= 0 {
		t.Errorf("copy: %+v, %v", c, err)
	}
	if _, err := os.Stat(dir + "/copy"); err == nil {
		t.Error("the copy is left behind")
	}
	if c, err := Crypto(1<<16, 1024, 5, 2); err != nil || c.HashS <= 0 || c.VerifyS <= 0 {
		t.Errorf("crypto: %+v, %v", c, err)
	}
	if _, err := Crypto(1, 0, 1, 1); err == nil {
		t.Error("pieces of no bytes were accepted")
	}
}
