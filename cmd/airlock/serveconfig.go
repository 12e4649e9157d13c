package main

import (
	"errors"

	"github.com/spf13/pflag"

	"airlock/feed/kind"
	"airlock/internal/home"
	"airlock/internal/settings"
)

// settingFlags makes flags of settings.
func settingFlags(f *pflag.FlagSet, fields []settings.Field) {
	for _, s := range fields {
		if s.Common {
			continue
		}
		flag := f.VarPF(s, s.Flag, "", s.Usage())
		flag.Hidden = s.Hidden
		if s.Zero() {
			flag.DefValue = "" // says nothing to people
		}
		if s.Type() == "bool" {
			flag.NoOptDefVal = "true"
		}
	}
}

// louder returns whether a flag was said more loudly than by a file: on the command
// line, or in the environment.
func (a *app) louder(f *pflag.FlagSet) func(flag string) bool {
	return func(flag string) bool { return f.Changed(flag) || a.inEnvironment[flag] }
}

// saidSettings is where the settings of a server come from.
type saidSettings struct {
	app    *app
	file   string          // "" for none
	base   settings.Server // what everything but the file says
	louder func(flag string) bool
}

// read returns the settings. What is wrong with them is said where it stands: in the
// file, or of a flag.
func (s saidSettings) read() (settings.Server, error) {
	if s.file == "" {
		return s.base, refused(&s.base, s.base.Problems())
	}
	out, file, err := s.merge()
	if err != nil {
		return s.base, err
	}
	elsewhere := file.Refuse(out.Problems(), s.louder)
	return out, errors.Join(wrongConfig(file.Err()), refused(&out, elsewhere))
}

// merge returns the settings, and the file; what is wrong with it is in its Err.
func (s saidSettings) merge() (settings.Server, *settings.File, error) {
	b, err := home.ReadFile(s.file, kind.MaxConfig)
	if err != nil {
		return s.base, nil, err
	}
	file := settings.Read(s.file, kind.OpenConfig(s.file, b))
	return file.Over(s.base, s.louder), file, nil
}

// settleServer takes of a server's file what who administers its store needs: where
// that is, where the audit log goes and which certificate is shown. The rest, and
// whether all of it goes together, is for who serves.
func (a *app) settleServer(file string, to *settings.Server, louder func(flag string) bool) error {
	if file == "" {
		return nil
	}
	said := saidSettings{a, file, *to, louder}
	said.base.Store = a.store
	out, f, err := said.merge()
	if err != nil {
		return err
	}
	*to = out
	a.store = out.Store
	return wrongConfig(f.Err())
}

func wrongConfig(err error) error {
	if err == nil {
		return nil
	}
	return usage("%v", "correct the file; airlock config example says what each setting is, and airlock config check FILE checks it", err)
}

// refused says what is wrong with settings by the names of their flags.
func refused(s *settings.Server, all []settings.Problem) error {
	var errs []error
	for _, p := range all {
		errs = append(errs, usage("--%s: want %s, got %s", p.Hint, s.Field(p.Path).Flag, p.Want, p.Got))
	}
	return errors.Join(errs...)
}
