package feedhttp

import (
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	logBlock    = 64 << 10 // bytes after which lines are written
	logInterval = time.Second
	maxLogField = 300 // bytes of a path or user agent in a line
)

// accessLog writes one line of JSON a request:
//
//	{"time":"2026-01-02T15:04:05.123Z","remote":"127.0.0.1:5","caller":"acme/dev-qa","request":"…","method":"GET",
//	 "path":"/v1/feeds/…","route":"object","status":200,"bytes":2048,"us":17,"agent":"…"}
//
// A request that is traced has its "trace" after "request".
// Queries are left out, credentials never get here.
// Lines wait in memory and are written in blocks by a goroutine that close ends.
type accessLog struct {
	out    io.Writer
	logger *slog.Logger

	mu      sync.Mutex // guards what follows
	pending []byte
	second  int64  // that stamp is of
	stamp   []byte // "2026-01-02T15:04:05"

	writing sync.Mutex // one block at a time, in order
	spare   []byte     // guarded by writing
	broken  bool       // likewise: the last write failed

	full, stop, done chan struct{}
	once             sync.Once
}

func newAccessLog(out io.Writer, logger *slog.Logger) *accessLog {
	l := &accessLog{out: out, logger: logger, full: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	return l
}

// run writes what is pending, each second and when a block is full.
func (l *accessLog) run() {
	defer close(l.done)
	tick := time.NewTicker(logInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.full:
		case <-l.stop:
			return
		}
		l.flush()
	}
}

func (l *accessLog) flush() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	block := l.pending
	l.pending = l.spare[:0]
	l.mu.Unlock()
	if len(block) > 0 {
		_, err := l.out.Write(block)
		if err != nil && !l.broken {
			l.logger.Error("access log not written", "error", err)
		}
		l.broken = err != nil
	}
	l.spare = block[:0]
}

func (l *accessLog) close() error {
	l.once.Do(func() {
		close(l.stop)
		<-l.done
		l.flush()
	})
	return nil
}

// write adds the line of a request.
func (l *accessLog) write(c *call, status int, sent int64, took time.Duration) {
	l.mu.Lock()
	b := append(l.pending, `{"time":"`...)
	b = l.appendTime(b, c.started)
	b = append(b, `","remote":"`...)
	b = appendEscaped(b, c.r.RemoteAddr)
	b = append(b, `","caller":"`...)
	b = append(b, c.caller.String()...)
	b = append(b, `","request":"`...)
	b = appendEscaped(b, c.caller.Request)
	if id := c.traceID(); id != "" {
		b = append(b, `","trace":"`...)
		b = append(b, id...)
	}
	b = append(b, `","method":"`...)
	b = appendEscaped(b, c.r.Method)
	b = append(b, `","path":"`...)
	b = appendEscaped(b, c.r.URL.Path)
	b = append(b, `","route":"`...)
	b = append(b, c.route.name...)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, sent, 10)
	b = append(b, `,"us":`...)
	b = strconv.AppendInt(b, took.Microseconds(), 10)
	if agent := c.r.Header["User-Agent"]; len(agent) > 0 {
		b = append(b, `,"agent":"`...)
		b = appendEscaped(b, agent[0])
		b = append(b, '"')
	}
	b = append(b, "}\n"...)
	l.pending = b
	full := len(b) >= logBlock
	l.mu.Unlock()
	if !full {
		return
	}
	select {
	case l.full <- struct{}{}:
	default: // the goroutine knows
		if len(b) > 8*logBlock {
			l.flush() // and cannot keep up: requests wait, memory does not grow
		}
	}
}

// appendTime writes t in UTC to the millisecond. The date is formatted once a
// second. The caller holds mu.
func (l *accessLog) appendTime(b []byte, t time.Time) []byte {
	if s := t.Unix(); s != l.second || l.stamp == nil {
		l.second, l.stamp = s, t.UTC().AppendFormat(l.stamp[:0], "2006-01-02T15:04:05")
	}
	b = append(b, l.stamp...)
	ms := t.Nanosecond() / 1e6
	return append(b, '.', '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z')
}

// appendEscaped writes the inside of a JSON string: what is not printable
// ASCII, or could end the string, as \u00XX, bytes that are no UTF-8 as "?".
func appendEscaped(b []byte, s string) []byte {
	if len(s) > maxLogField {
		s = s[:maxLogField]
	}
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			b = append(b, '?')
		case c < ' ' || c == '"' || c == '\\' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
