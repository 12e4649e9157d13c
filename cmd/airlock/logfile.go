package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"airlock/internal/settings"
	"airlock/storage"
)

// logFile is a log of a server: a file, or standard error. Nil writes nowhere.
type logFile struct {
	path string // "" for standard error

	mu sync.Mutex
	to io.Writer
}

// openLog opens the log of a setting: "-" is standard error, "none" and "" nowhere,
// which is nil.
func (a *app) openLog(setting, path string) (*logFile, error) {
	switch path {
	case "-":
		return &logFile{to: a.err}, nil
	case "none", "":
		return nil, nil
	}
	f, err := appendTo(path)
	if err != nil {
		return nil, logNotOpened(setting, err)
	}
	return &logFile{path: path, to: f}, nil
}

// logNotOpened says which setting names a log that could not be opened.
func logNotOpened(setting string, err error) error {
	_, hint := outcomeOf(err)
	if errors.Is(err, fs.ErrNotExist) {
		hint = "make its folder, which airlock does not, or name another file"
	}
	defaults := settings.Default()
	return hinted(err, fmt.Sprintf("%s (--%s): %v", setting, defaults.Field(setting).Flag, err), hint)
}

// tryLog returns why a log could not be opened. It leaves no file behind: where there
// is none it makes one of another name, as a server may be about to open it.
func tryLog(path string) error {
	if path == "-" || path == "none" || path == "" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tryFolder(path)
	case err != nil:
		return err
	case !info.Mode().IsRegular() && !info.IsDir():
		return nil // opening a pipe waits for who reads it
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// tryFolder returns why a file could not be made.
func tryFolder(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), storage.TempPrefix)
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		failed.Path = path
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
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
