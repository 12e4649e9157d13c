package settings

import (
	"path/filepath"

	"airlock/feed/kind"
)

// File is a configuration file, read.
type File struct {
	// Server is what it says, and the default where it says nothing. Paths in it
	// are from the file's folder on.
	Server Server
	// Config collects what is wrong with it.
	*kind.Config
}

// Read reads the configuration file of that name, once it was opened. What is wrong
// with it is in its Config.
func Read(name string, c *kind.Config) *File {
	f := &File{Default(), c}
	folder := filepath.Dir(name)
	var all []kind.Setting
	for _, field := range f.Server.Fields() {
		all = append(all, kind.Setting{Path: field.Path, Form: field.form.Form, Want: field.form.want, Set: func(text string) bool {
			return field.form.set(field.value, field.form.from(folder, text))
		}})
	}
	c.Read(Document, all)
	return f
}

// Over returns the settings of a file over base: what the file says, but for those
// whose flags were said more loudly.
func (f *File) Over(base Server, louder func(flag string) bool) Server {
	to := base.Fields()
	for i, from := range f.Server.Fields() {
		if f.Says(from.Path) && !louder(from.Flag) {
			to[i].value.Set(from.value)
		}
	}
	return base
}

// Refuse says which problems are the file's, and returns the others: those of
// settings of which it says nothing, or that were said more loudly.
func (f *File) Refuse(all []Problem, louder func(flag string) bool) (others []Problem) {
	for _, p := range all {
		if f.Says(p.Path) && !louder(f.Server.Field(p.Path).Flag) {
			f.Config.Refuse(p.Path, p.Want, p.Got)
		} else {
			others = append(others, p)
		}
	}
	return others
}

// Change is a setting that is not what it was.
type Change struct {
	Path, Old, New string
	Live           bool
}

// Take changes the settings that may change while a server runs to those of next,
// and returns what is other, also where it stays.
func (s *Server) Take(next Server) (changes []Change) {
	to := s.Fields()
	for i, from := range next.Fields() {
		if was, is := to[i].String(), from.String(); was != is {
			changes = append(changes, Change{from.Path, was, is, from.Live})
			if from.Live {
				to[i].value.Set(from.value)
			}
		}
	}
	return changes
}
