package kind

import (
	"path"
	"strings"
)

// maxPath bounds an attachment's path in bytes, so that it fits below a folder
// on every system.
const maxPath = 200

var pathRule = rule{
	want: "a clean relative path of plain characters, without .. and names that a system reserves",
	ok:   isPath, shown: true,
}

var (
	pathForm = pattern(`^[A-Za-z0-9._+@()#=, -]+(/[A-Za-z0-9._+@()#=, -]+)*$`)
	// Windows opens a device for these, whatever follows the first dot.
	reserved = pattern(`(?i)^(con|prn|aux|nul|conin\$|conout\$|com[0-9]|lpt[0-9])$`)
)

func isPath(s string) bool {
	if len(s) > maxPath || !pathForm().MatchString(s) || path.Clean(s) != s || path.IsAbs(s) {
		return false
	}
	for _, part := range strings.Split(s, "/") {
		stem, _, _ := strings.Cut(part, ".")
		// Windows drops dots and spaces at the end; ".." is nothing else.
		if strings.TrimRight(part, ". ") != part || strings.TrimLeft(part, " ") != part ||
			reserved().MatchString(strings.TrimRight(stem, " ")) {
			return false
		}
	}
	return true
}

// paths refuses attachments that cannot lie beside each other and the document.
type paths struct {
	unique
	document string
	folders  map[string]bool // folded
}

func newPaths(r *report) *paths {
	return &paths{unique: unique{r: r}, document: fold(path.Base(r.file)), folders: map[string]bool{}}
}

func (p *paths) add(n *node, at, name string) bool {
	folded := fold(name)
	clash := folded == p.document || p.folders[folded]
	for dir := path.Dir(folded); dir != "."; dir = path.Dir(dir) {
		_, isFile := p.seen[dir]
		clash = clash || isFile || dir == p.document
		p.folders[dir] = true
	}
	if clash {
		p.r.at(n, at, "a path that is not the document's own and not both file and folder", quote(name))
		return false
	}
	return p.unique.add(n, at, name)
}
