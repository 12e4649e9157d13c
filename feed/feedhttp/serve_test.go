package feedhttp_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"airlock/feed/feedhttp"
)

// handler returns a handler over b, changed by change.
func handler(tb testing.TB, b *backend, change func(*feedhttp.Config)) *feedhttp.Handler {
	tb.Helper()
	config := feedhttp.Config{Reader: b, Writer: b, Version: "test"}
	if change != nil {
		change(&config)
	}
	h, err := feedhttp.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { h.Close() })
	return h
}

// serve serves a handler on loopback and returns its address.
func serve(tb testing.TB, h http.Handler) *url.URL {
	tb.Helper()
	var server *http.Server
	if ours, ok := h.(*feedhttp.Handler); ok {
		server = feedhttp.Server(ours)
	} else {
		server = &http.Server{Handler: h}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with ErrServerClosed
	}()
	tb.Cleanup(func() {
		server.Close()
		<-done
	})
	return &url.URL{Scheme: "http", Host: listener.Addr().String()}
}

// client returns a client of a server, changed by change.
func client(tb testing.TB, base *url.URL, change func(*feedhttp.ClientConfig)) *feedhttp.Client {
	tb.Helper()
	config := feedhttp.ClientConfig{Base: base, Retry: feedhttp.Retry{First: 1, Max: 2}}
	if change != nil {
		change(&config)
	}
	c, err := feedhttp.NewClient(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// ask sends a request to a handler in process. Header fields are "Key: value".
func ask(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	var r *http.Request
	if body == "" {
		r = httptest.NewRequest(method, target, nil)
	} else {
		r = httptest.NewRequest(method, target, strings.NewReader(body))
	}
	for _, line := range header {
		key, value, _ := strings.Cut(line, ": ")
		r.Header.Add(key, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// problemOf returns the name of the problem in an answer, "" for none.
func problemOf(w *httptest.ResponseRecorder) string {
	if w.Header().Get("Content-Type") != "application/problem+json" {
		return ""
	}
	var d struct {
		Type     string
		Status   int
		Instance string
	}
	if json.Unmarshal(w.Body.Bytes(), &d) != nil || d.Status != w.Code || d.Instance != w.Header().Get("X-Request-Id") {
		return "no good document: " + w.Body.String()
	}
	return strings.TrimPrefix(d.Type, "https://airlock.example/problems/")
}
