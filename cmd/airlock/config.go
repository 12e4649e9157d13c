package main

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"airlock/feed/kind"
	"airlock/internal/home"
)

// flagsDocument is the kind of the home's config.yaml: defaults for flags.
//
//	apiVersion: airlock.example/v1
//	kind: Config
//	flags: {server: http://127.0.0.1:7070}
const flagsDocument = "Config"

func configFile(home string) string { return filepath.Join(home, "config.yaml") }

// settleFromFile reads config.yaml, where there is one, for the flags that
// neither the command line nor the environment (said) has set.
func (a *app) settleFromFile(flags *pflag.FlagSet, said map[string]bool) error {
	dir, err := a.homeFolder()
	if err != nil {
		return nil // a command that needs the home will say so
	}
	file := configFile(dir)
	b, err := home.ReadFile(file, kind.MaxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// Another command's flag is passed over, and so is what was said more loudly.
	all := []kind.Setting{{Path: "flags.*", Form: kind.Scalar, Want: "what a flag takes", Set: func(string) bool { return true }}}
	flags.VisitAll(func(f *pflag.Flag) {
		if fromFile(f) && !f.Changed && !said[f.Name] {
			all = append(all, flagSetting(f.Name, f))
		}
	})
	c := kind.OpenConfig(file, b)
	c.Read(flagsDocument, all)
	if err := c.Err(); err != nil {
		return usage("%v", "correct the file; airlock config check checks it", err)
	}
	return nil
}

// fromFile reports whether a flag is one of those that config.yaml may set.
func fromFile(f *pflag.Flag) bool {
	return f.Annotations[ownMeaning] == nil && f.Name != "home" && f.Name != "help" && f.Name != "version"
}

// flagSetting is what config.yaml may say of a flag: what one of the commands takes
// that have a flag of this name.
func flagSetting(name string, of ...*pflag.Flag) kind.Setting {
	return kind.Setting{Path: "flags." + name, Form: kind.Scalar, Want: "what --" + name + " takes (" + of[0].Value.Type() + ")",
		Set: func(text string) bool {
			for _, f := range of {
				if f.Value.Set(text) == nil {
					return true
				}
			}
			return false
		}}
}

// everyFlag returns what config.yaml may say: the flags of all commands. Those of a
// program that is never run are set by the way.
func everyFlag() (out []kind.Setting) {
	named := map[string][]*pflag.Flag{}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		c.Flags().AddFlagSet(c.PersistentFlags())
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if fromFile(f) {
				named[f.Name] = append(named[f.Name], f)
			}
		})
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(newRoot(&app{}))
	for _, name := range slices.Sorted(maps.Keys(named)) {
		out = append(out, flagSetting(name, named[name]...))
	}
	return out
}
