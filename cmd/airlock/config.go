package main

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"airlock/internal/home"
)

// config is the home's config.yaml: defaults for flags of the same name.
type config struct {
	APIVersion string            `yaml:"apiVersion"` // "airlock.example/v1"
	Kind       string            `yaml:"kind"`       // "Config"
	Flags      map[string]string `yaml:"flags"`      // such as server: http://127.0.0.1:7070
}

// settleFromFile reads config.yaml, where there is one, for the flags that
// neither the command line nor the environment (said) has set.
func (a *app) settleFromFile(flags *pflag.FlagSet, said map[string]bool) error {
	dir, err := a.homeFolder()
	if err != nil {
		return nil // a command that needs the home will say so
	}
	path := filepath.Join(dir, "config.yaml")
	b, err := home.ReadFile(path, 64<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var c config
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		return usage("%s: %v", "correct the file", path, err)
	}
	if c.APIVersion != "airlock.example/v1" || c.Kind != "Config" {
		return usage("%s: apiVersion %.60q and kind %.60q, want airlock.example/v1 and Config", "correct the file", path, c.APIVersion, c.Kind)
	}
	names := make([]string, 0, len(c.Flags))
	for name := range c.Flags {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f := flags.Lookup(name)
		if f == nil || f.Changed || said[name] || f.Annotations[ownMeaning] != nil || name == "home" {
			continue // another command's flag, or already said more loudly
		}
		if err := f.Value.Set(c.Flags[name]); err != nil {
			return usage("%s: flags.%s: %v", "correct the file", path, name, err)
		}
	}
	return nil
}
