package storetest

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"

	"airlock/storage"
)

// Trouble is what a LossyProxy does to one request.
type Trouble struct {
	// Wait is how long the request is kept before all else.
	Wait time.Duration
	// Drop closes the connection without asking the store, as one does that is
	// gone.
	Drop bool
	// Late asks the store once the client has given up and gone away: what nobody
	// waits for any more takes effect all the same.
	Late bool
	// Lose closes the connection instead of passing the answer on; the store
	// has done its work by then.
	Lose bool
	// Status is answered instead of asking the store; 0 asks.
	Status int
	// StatusAfter is answered although the store did its work; 0 passes its
	// own answer on.
	StatusAfter int
	// Hang gives no answer until the client goes away. The store is not asked.
	Hang bool
	// Unconditional drops If-Match and If-None-Match, as stores do that do
	// not know them, and signs the request again.
	Unconditional bool
}

// LossyProxy stands before an S3 server and makes trouble. Plan may be
// replaced at any time with SetPlan.
type LossyProxy struct {
	store storage.S3Config
	proxy *httputil.ReverseProxy

	mu   sync.Mutex
	plan func(*http.Request) Trouble
	seen map[string]int // requests by method
}

// NewLossyProxy starts a proxy for one test before the server of cfg and
// returns it, with cfg turned to the proxy. plan is asked for every request; it
// is called by one goroutine at a time.
func NewLossyProxy(tb testing.TB, cfg storage.S3Config, plan func(*http.Request) Trouble) (*LossyProxy, storage.S3Config) {
	tb.Helper()
	target, err := url.Parse(cfg.Endpoint)
	if err != nil {
		tb.Fatal(err)
	}
	p := &LossyProxy{store: cfg, plan: plan, seen: map[string]int{}}
	p.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		Transport:    &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	}
	server := httptest.NewServer(p)
	tb.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	cfg.Endpoint = server.URL
	return p, cfg
}

// SetPlan replaces what the proxy does from now on.
func (p *LossyProxy) SetPlan(plan func(*http.Request) Trouble) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = plan
}

// Seen returns how many requests with a method have come.
func (p *LossyProxy) Seen(method string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[method]
}

// NoTrouble passes everything on.
func NoTrouble(*http.Request) Trouble { return Trouble{} }

// LoseShare loses a share of the answers, from 0 to 1, the same for a seed.
func LoseShare(seed uint64, share float64) func(*http.Request) Trouble {
	draw := rand.New(rand.NewPCG(seed, seed))
	return func(*http.Request) Trouble { return Trouble{Lose: draw.Float64() < share} }
}

func (p *LossyProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen[r.Method]++
	trouble := p.plan(r)
	p.mu.Unlock()
	if trouble.Wait > 0 {
		select {
		case <-time.After(trouble.Wait):
		case <-r.Context().Done():
		}
	}
	switch {
	case trouble.Drop:
		panic(http.ErrAbortHandler) // closes the connection, net/http says nothing
	case trouble.Late:
		p.late(r)
		return
	case trouble.Hang:
		_, _ = io.Copy(io.Discard, r.Body) // else the end of the client is not seen
		<-r.Context().Done()
		return
	case trouble.Status != 0:
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(trouble.Status)
		return
	case trouble.Unconditional:
		r = p.unconditional(r)
	}
	if !trouble.Lose && trouble.StatusAfter == 0 {
		p.proxy.ServeHTTP(w, r)
		return
	}
	p.proxy.ServeHTTP(&swallowed{header: http.Header{}}, r)
	if trouble.Lose {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(trouble.StatusAfter)
}

// late carries a request out when its client does not wait for it any more.
func (p *LossyProxy) late(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	<-r.Context().Done()
	if err != nil {
		return // half a request: the store would not take it
	}
	r = r.Clone(context.WithoutCancel(r.Context()))
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.proxy.ServeHTTP(&swallowed{header: http.Header{}}, r)
}

func (p *LossyProxy) unconditional(r *http.Request) *http.Request {
	if r.Header.Get("If-Match") == "" && r.Header.Get("If-None-Match") == "" {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Del("If-Match")
	r.Header.Del("If-None-Match")
	r.URL.Host = r.Host
	r.URL.Scheme = "http"
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded") {
			r.Header.Del(name)
		}
	}
	return signer.SignV4(*r, p.store.AccessKey, p.store.SecretKey, "", p.store.Region)
}

// swallowed is an answer that nobody gets.
type swallowed struct{ header http.Header }

func (s *swallowed) Header() http.Header         { return s.header }
func (s *swallowed) Write(b []byte) (int, error) { return len(b), nil }
func (s *swallowed) WriteHeader(int)             {}
