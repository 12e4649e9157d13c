package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"airlock/feed/kind"
	"airlock/internal/home"
	"airlock/internal/settings"
	"airlock/storage"
)

func (a *app) configCommand() *cobra.Command {
	c := group("config", "Explain and check configuration files", a.configExampleCommand(), a.configCheckCommand())
	c.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := a.settleFromEnv(cmd.Flags()); err != nil { // config.yaml may be what is wrong
			return err
		}
		return knownForm(a.format, wordFlags["format"])
	}
	return c
}

func (a *app) configExampleCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "example",
		Short: "Print a configuration file for airlock serve that explains every setting",
		Long: `Print a configuration file for airlock serve --config. It says of every setting what
it is, and what it is without a word; so as it is printed it changes nothing. A file
that is there is not written over.`,
		Example: `  airlock config example
  airlock config example -o server.yaml`,
		Args: exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error { return a.configExample(out) },
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	return c
}

// configExample writes the example, and over no file: one that is there may be what
// somebody made of an earlier example.
func (a *app) configExample(out string) error {
	if info, err := os.Stat(out); out == "" || out == "-" || err == nil && (a.isOut(info) || !info.Mode().IsRegular()) {
		return a.writeOutput(out, bytes.NewReader(settings.Example()))
	}
	err := storage.CreateFile(out, settings.Example(), 0o644)
	if errors.Is(err, fs.ErrExist) {
		return hinted(err, out+": there is a file already, and it may be a configuration that somebody edited", "name another file, or compare: airlock config example | diff "+out+" -")
	}
	return err
}

func (a *app) configCheckCommand() *cobra.Command {
	var probe bool
	c := &cobra.Command{
		Use:   "check [FILE…]",
		Short: "Check configuration files, without FILE those of this home",
		Long: `Check configuration files, and say of everything that is wrong the line, the field and
what was expected: a server's, the config.yaml of a home, and subscriptions. What a
file is, it says itself. Without FILE those of this home are checked.

Of a server's it also looks whether its settings go together, and whether its
certificate is in date and belongs to its key. With --probe it asks the store, too, and
tries whether its log files can be written to by who runs this.`,
		Example: `  airlock config check server.yaml
  airlock config check server.yaml --probe
  airlock config check -f json`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.configCheck(cmd.Context(), args, probe) },
	}
	c.Flags().BoolVar(&probe, "probe", false, "see whether the store answers and log files can be written to; makes none")
	return c
}

// configDoc is what was found in a file.
type configDoc struct {
	File     string          `json:"file"`
	Kind     string          `json:"kind"` // "" for none that is known
	Problems []configProblem `json:"problems"`
}

type configProblem struct {
	Line   int    `json:"line"`   // from 1; 0 for what is missing
	Column int    `json:"column"` // from 1, in characters
	Field  string `json:"field"`
	Want   string `json:"want"`
	Got    string `json:"got,omitempty"`
	text   string // of all that
}

func (a *app) configCheck(ctx context.Context, files []string, probe bool) (err error) {
	var own map[string]error // what is wrong with subscriptions of this home
	if len(files) == 0 {
		if files, own, err = a.ownConfigs(); err != nil {
			return err
		}
	}
	docs, wrong := []configDoc{}, 0
	for _, file := range files {
		d := configDoc{File: file, Problems: []configProblem{}}
		err, known := own[file]
		if d.Kind = kind.SubscriptionDocument; !known {
			d.Kind, err = a.checkConfig(ctx, file, probe)
		}
		d.add(err)
		wrong += len(d.Problems)
		docs = append(docs, d)
	}
	if err := a.show(docs, func(w io.Writer) {
		for _, d := range docs {
			d.write(w)
		}
	}); err != nil || wrong == 0 {
		return err
	}
	return &failure{code: exitFailed, what: count(wrong, "thing is", "things are") + " wrong in " + count(len(files), "file", "files"),
		hint: wrongHint(docs)}
}

// formsOf says of each kind of file where to read what it may say.
var formsOf = []struct{ kind, where string }{
	{settings.Document, "airlock config example says what each setting of a server is"},
	{flagsDocument, "under flags, config.yaml of a home has flags of commands, and airlock COMMAND --help lists them"},
	{kind.SubscriptionDocument, "airlock schema subscription prints what is expected"},
}

// wrongHint is about the files in which something is wrong.
func wrongHint(docs []configDoc) string {
	hint := "correct what is named"
	for _, form := range formsOf {
		if slices.ContainsFunc(docs, func(d configDoc) bool { return d.Kind == form.kind && len(d.Problems) > 0 }) {
			hint += "; " + form.where
		}
	}
	return hint
}

func (d *configDoc) write(w io.Writer) {
	for _, p := range d.Problems {
		fmt.Fprintln(w, p.text)
	}
	if len(d.Problems) == 0 {
		fmt.Fprintf(w, "%s: %s, as it should be\n", d.File, d.Kind)
	}
}

// add adds an error, or each of several that were joined.
func (d *configDoc) add(err error) {
	switch e := err.(type) {
	case nil:
	case *kind.Error:
		d.Problems = append(d.Problems, configProblem{e.Line, e.Column, e.Field, e.Want, e.Got, e.Error()})
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			d.add(one)
		}
	default:
		d.Problems = append(d.Problems, configProblem{Want: "a file that can be read", Got: err.Error(), text: oneLine(err.Error())})
	}
}

// ownConfigs returns the files of this home that people write, and of subscriptions
// what is wrong with them.
func (a *app) ownConfigs() (files []string, own map[string]error, err error) {
	h, err := a.home()
	if err != nil {
		return nil, nil, err
	}
	if _, err := os.Stat(configFile(h.Path())); !errors.Is(err, fs.ErrNotExist) {
		files = append(files, configFile(h.Path()))
	}
	all, err := h.Subscriptions()
	own = map[string]error{}
	for _, s := range all {
		files = append(files, s.File)
		own[s.File] = s.Err
	}
	a.note("%s in %s", count(len(files), "configuration", "configurations"), h.Path())
	return files, own, err
}

// checkConfig checks a file by what it says it is.
func (a *app) checkConfig(ctx context.Context, file string, probe bool) (document string, err error) {
	b, err := home.ReadFile(file, kind.MaxConfig)
	if err != nil {
		return "", err
	}
	c := kind.OpenConfig(file, b)
	switch document = c.Document(); document {
	case settings.Document:
		a.checkServer(ctx, settings.Read(file, c), probe)
	case flagsDocument:
		c.Read(flagsDocument, everyFlag())
	case kind.SubscriptionDocument:
		_, err := kind.ParseSubscription(file, b)
		return document, err
	default:
		if c.Err() == nil {
			c.Refuse("kind", settings.Document+", "+flagsDocument+" or "+kind.SubscriptionDocument, fmt.Sprintf("%.60q", document))
		}
	}
	return document, c.Err()
}

// checkServer adds to what is wrong with a server's file what only this machine shows.
func (a *app) checkServer(ctx context.Context, f *settings.File, probe bool) {
	s := &f.Server
	for _, p := range s.Problems() {
		f.Config.Refuse(p.Path, p.Want, p.Got)
	}
	if c, err := tls.LoadX509KeyPair(s.TLS.Cert, s.TLS.Key); err == nil {
		const want = "a certificate that is in date"
		switch now := a.now(); {
		case now.Before(c.Leaf.NotBefore):
			f.Config.Refuse("tls.cert", want, "one that begins on "+day(c.Leaf.NotBefore))
		case now.After(c.Leaf.NotAfter):
			f.Config.Refuse("tls.cert", want, "one that ended on "+day(c.Leaf.NotAfter))
		}
	}
	if probe {
		if err := a.probe(ctx, s.Store); err != nil {
			f.Config.Refuse("store", "a store that answers", oneLine(err.Error()))
		}
		for setting, path := range map[string]string{"logs.access": s.Logs.Access, "logs.audit": s.Logs.Audit} {
			if err := tryLog(path); err != nil {
				f.Config.Refuse(setting, "a file to write to, in a folder that is there", err.Error())
			}
		}
	}
}

// probe opens a store, that of the home where none is named. One that is not there
// yet serve makes.
func (a *app) probe(ctx context.Context, where string) error {
	if where == "" && a.hasHome() {
		h, err := a.home()
		if err != nil {
			return err
		}
		where = a.storePath(h)
	}
	if where == "" {
		return nil
	}
	store, err := storage.OpenExisting(ctx, where, a.getenv)
	if errors.Is(err, storage.ErrNoStore) {
		a.note("%s is not there yet: airlock serve makes it", where)
		return nil
	}
	if err != nil {
		return err
	}
	if store.Exclusive != "" {
		a.note("there may be one server only on %s: %s", store.Name, store.Exclusive)
	}
	return store.Close()
}
