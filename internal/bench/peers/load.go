package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"airlock/internal/bench/peers/proc"
)

// A Load is a series of equal requests to one server.
type Load struct {
	URL         string
	PID         int // the server's, whose CPU time is read
	Header      http.Header
	Connections int
	Duration    time.Duration
	Status      int  // what every answer must be
	NoWrk       bool // use the generator in Go even where wrk is installed
}

// A LoadResult is what the server made of it.
type LoadResult struct {
	Generator string  `json:"generator"`
	Status    int     `json:"status"`
	BodyBytes int     `json:"body_bytes"`
	Requests  int64   `json:"requests"`
	WallS     float64 `json:"wall_s"`
	PerS      float64 `json:"requests_per_s"`
	ServerCPU float64 `json:"cpu_server_s"`
	PerCPUS   float64 `json:"requests_per_cpu_s"`
	PeakKiB   int64   `json:"peak_server_rss_kib"`
}

// Run asks once to see that the answer is as expected, warms the server up for
// a tenth of the duration, and then measures. Any other answer is an error.
func (l Load) Run(ctx context.Context) (LoadResult, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*l.Duration+30*time.Second)
	defer cancel()
	r := LoadResult{Status: l.Status}
	var err error
	if r.BodyBytes, err = l.probe(ctx); err != nil {
		return r, err
	}
	generate := l.wrk
	r.Generator = "wrk"
	if _, err := exec.LookPath("wrk"); err != nil || l.NoWrk {
		generate, r.Generator = l.generate, "go"
	}
	if _, err := generate(ctx, max(l.Duration/10, time.Second)); err != nil {
		return r, err
	}
	before, err := proc.Of(l.PID)
	if err != nil {
		return r, err
	}
	begin := time.Now()
	if r.Requests, err = generate(ctx, l.Duration); err != nil {
		return r, err
	}
	r.WallS = time.Since(begin).Seconds()
	after, err := proc.Of(l.PID)
	if err != nil {
		return r, err
	}
	r.ServerCPU, r.PeakKiB = (after.CPU - before.CPU).Seconds(), after.PeakKiB
	r.PerS = float64(r.Requests) / r.WallS
	r.PerCPUS = float64(r.Requests) / r.ServerCPU
	return r, nil
}

// probe makes one request and returns the size of its answer's body.
func (l Load) probe(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL, nil)
	if err != nil {
		return 0, err
	}
	for name, values := range l.Header {
		req.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != l.Status {
		return 0, fmt.Errorf("%s answers %s, not %d", l.URL, resp.Status, l.Status)
	}
	return len(body), nil
}

var (
	wrkRequests = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	wrkErrors   = regexp.MustCompile(`(?m)^\s*(Socket errors|Non-2xx or 3xx responses):.*$`)
)

// wrk drives the load from one thread, so that the server has a core.
func (l Load) wrk(ctx context.Context, d time.Duration) (int64, error) {
	args := []string{"-t1", "-c" + strconv.Itoa(l.Connections), "-d" + strconv.Itoa(int(d.Round(time.Second).Seconds())) + "s"}
	for name, values := range l.Header {
		for _, value := range values {
			args = append(args, "-H", name+": "+value)
		}
	}
	_, out, err := Run(ctx, "wrk", append(args, l.URL)...)
	if err != nil {
		return 0, err
	}
	if wrong := wrkErrors.Find(out); wrong != nil {
		return 0, errors.New("wrk: " + string(wrong))
	}
	m := wrkRequests.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("wrk printed %.200q", out)
	}
	return strconv.ParseInt(string(m[1]), 10, 64)
}
