package kind

import "fmt"

// diffStepTemplate compares two templates. The default of a parameter that asks
// for a secret in either version is never shown.
func diffStepTemplate(old, new *node) []Change {
	secrets := map[string]bool{}
	for _, root := range []*node{old, new} {
		list := root.get("Parameters")
		if list == nil {
			continue
		}
		for _, p := range list.items {
			if name := p.get("Name"); name != nil && asksSecret(p) {
				secrets[fold(fmt.Sprintf(`parameter "%s", DefaultValue`, name.text))] = true
			}
		}
	}
	d := &treeDiff{secret: func(what string) bool { return secrets[fold(what)] }}
	d.compare("", old, new)
	return d.changes
}
