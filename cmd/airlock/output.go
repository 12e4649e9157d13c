package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"unicode"

	"sigs.k8s.io/yaml"

	"airlock/feed"
	"airlock/receipts"
	"airlock/storage"
)

// show writes data in the form that --format asks for: doc as JSON or YAML,
// or what table writes.
func (a *app) show(doc any, table func(w io.Writer)) error {
	switch a.format {
	case "json":
		enc := json.NewEncoder(a.out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(doc)
	case "yaml":
		b, err := yaml.Marshal(doc)
		if err != nil {
			return err
		}
		_, err = a.out.Write(b)
		return err
	}
	table(a.out)
	return nil
}

// writeOutput writes what a command was asked for to a file, whole or not at all,
// or to standard output where path is empty or "-". What is there and is no file,
// such as a pipe or a device, is written to and never replaced; nor is what standard
// output goes to already, such as /dev/stdout.
func (a *app) writeOutput(path string, r io.Reader) error {
	if path == "" || path == "-" {
		_, err := io.Copy(a.out, r)
		return err
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		if a.isOut(info) {
			return a.writeOutput("", r)
		}
		if !info.Mode().IsRegular() {
			return writeInto(path, r)
		}
		mode &= info.Mode() // who could not read it cannot read what replaces it
	}
	if file, err := filepath.EvalSymlinks(path); err == nil {
		path = file
	}
	return storage.ReplaceFrom(path, r, mode)
}

// writePage writes a report for a browser, and says so.
func (a *app) writePage(path string, page []byte) error {
	if err := a.writeOutput(path, bytes.NewReader(page)); err != nil {
		return err
	}
	a.note("wrote %s", path)
	return nil
}

// isOut reports whether a file is the one behind standard output.
func (a *app) isOut(file fs.FileInfo) bool {
	out, ok := a.out.(*os.File)
	if !ok {
		return false
	}
	info, err := out.Stat()
	return err == nil && os.SameFile(info, file)
}

func writeInto(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// columns writes rows under a header, aligned.
func columns(w io.Writer, header []string, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if len(rows) > 0 {
		fmt.Fprintln(t, strings.Join(header, "\t"))
	}
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	t.Flush()
}

// pairs writes "name  value" lines, aligned.
func pairs(w io.Writer, rows ...[2]string) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\n", r[0], r[1])
	}
	t.Flush()
}

// shellWord writes a path as one word of a command line that people copy.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-+,:@=%", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// intoFor ends the command that takes in a feed: packages go to a folder, and
// receipts nowhere.
func intoFor(id feed.ID) string {
	if id.Name == receipts.Feed {
		return ""
	}
	return " --into FOLDER"
}

// size writes a number of bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, suffix := float64(n), ""
	for _, suffix = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value /= unit; value < unit {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, suffix)
}
