package main

import (
	"io"
	"os"
	"sync"
)

// logFile is a log of a server: a file, or standard error. Nil writes nowhere.
type logFile struct {
	path string // "" for standard error

	mu sync.Mutex
	to io.Writer
}

// openLog opens a log: "-" is standard error, "none" and "" nowhere, which is nil.
func (a *app) openLog(path string) (*logFile, error) {
	switch path {
	case "-":
		return &logFile{to: a.err}, nil
	case "none", "":
		return nil, nil
	}
	f, err := appendTo(path)
	if err != nil {
		return nil, err
	}
	return &logFile{path: path, to: f}, nil
}

func appendTo(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// writer returns the log for who knows of none as a nil io.Writer.
func (l *logFile) writer() io.Writer {
	if l == nil {
		return nil
	}
	return l
}

// Write implements io.Writer. What is written at once is in one file.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}

// reopen opens the file of that name anew, as the one before was renamed. Where it
// cannot, it goes on with the one before.
func (l *logFile) reopen() error {
	if l == nil || l.path == "" {
		return nil
	}
	f, err := appendTo(l.path)
	if err != nil {
		return err
	}
	l.mu.Lock()
	before := l.to
	l.to = f
	l.mu.Unlock()
	return before.(*os.File).Close()
}

// Close closes a file.
func (l *logFile) Close() error {
	if l == nil || l.path == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.(*os.File).Close()
}
