package kind

import (
	"slices"
	"strings"
)

// dimensions are the scope dimensions of the deployment server, all twenty.
// Names in any of them travel untouched. An unknown dimension is refused, never
// dropped: a scope without it would be wider (D33).
var dimensions = []string{
	"Action", "Channel", "Environment", "EnvironmentParameter", "Machine", "ParentDeployment", "Private",
	"ProcessOwner", "ProcessTemplateStep", "Project", "ProjectTemplate", "Role", "TargetRole",
	"TargetTagParameter", "TemplatedProject", "Tenant", "TenantTag", "TenantTagParameter", "Trigger", "User",
}

// scope says where a value holds: names per dimension.
type scope map[string][]string

func readScope(r *report, n *node, path string) scope {
	if n.shape != isMapping {
		r.at(n, path, "a mapping of dimensions to lists of names", n.got())
		return nil
	}
	s := scope{}
	for _, f := range n.fields {
		at := join(path, f.name)
		if !slices.Contains(dimensions, f.name) {
			r.at(f.key, at, "a scope dimension"+hint(f.name, dimensions)+", "+oneOf(dimensions), quote(f.name))
			continue
		}
		names := r.texts(f.value, at, byNameRule)
		if f.value.shape == isList && len(f.value.items) == 0 {
			r.at(f.value, at, "at least one name (leave the dimension out where it does not matter)", "an empty list")
		}
		s[f.name] = names
	}
	return s
}

// key is equal for scopes that mean the same: any order, any case.
func (s scope) key() string {
	var parts []string
	for dimension, names := range s {
		folded := make([]string, len(names))
		for i, name := range names {
			folded[i] = fold(name)
		}
		slices.Sort(folded)
		parts = append(parts, dimension+"\x01"+strings.Join(folded, "\x02"))
	}
	slices.Sort(parts)
	return strings.Join(parts, "\x03")
}

// String is the form for people: [Environment: Production, Staging; Role: web].
func (s scope) String() string {
	if len(s) == 0 {
		return "[unscoped]"
	}
	var parts []string
	for _, dimension := range dimensions {
		if names := s[dimension]; len(names) > 0 {
			parts = append(parts, dimension+": "+strings.Join(names, ", "))
		}
	}
	return printable("[" + strings.Join(parts, "; ") + "]")
}
