package kind

import (
	"regexp"
	"sync"
)

// pattern returns a regular expression that is compiled when it is first
// asked for: most commands look at no document, and compiling all of them takes
// longer than everything else that happens before main.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
