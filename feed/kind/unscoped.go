package kind

import (
	"fmt"
	"slices"
)

// CheckUnscoped reports the variables of a valid document that have a scope,
// each as an *Error (at most 20), for publishers whose receivers know none of
// their environments, machines and tenants (A26). Other kinds have none.
func CheckUnscoped(kind, file string, data []byte) error {
	if !slices.Contains([]string{"variable-set", "release"}, kind) {
		return nil
	}
	r := &report{file: file}
	root := parse(r, data)
	variables := root.get("variables")
	if variables == nil {
		return r.err()
	}
	for i, v := range variables.items {
		n := v.get("scope")
		if n == nil || len(n.fields) == 0 {
			continue
		}
		path := fmt.Sprintf("variables[%d].scope", i)
		name := "a variable"
		if named := v.get("name"); named != nil {
			name = quote(named.text)
		}
		r.at(n, path, "no scope", name+" in "+readScope(r, n, path).String())
	}
	return r.err()
}
