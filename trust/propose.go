package trust

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Lacks returns those of the rules of a trust list that p does not let in whole.
// They are compared rule by rule: what only several rules of p let in together,
// other than by feeds, kinds and rights, counts as lacking.
func (p *Policy) Lacks(rules []Allow) []Allow {
	return slices.DeleteFunc(slices.Clone(rules), p.lets)
}

// lets reports whether p has, for every feed, kind and right of a rule, one rule
// that covers all that the rule says of them.
func (p *Policy) lets(rule Allow) bool {
	for _, feed := range rule.Feeds {
		for _, kind := range rule.Kinds {
			for _, right := range rule.Rights {
				part := Allow{Feeds: []string{feed}, Kinds: []string{kind}, Names: rule.Names, Versions: rule.Versions, Rights: []Right{right}}
				if !slices.ContainsFunc(p.Allow, func(a Allow) bool { return a.holds(part) }) {
					return false
				}
			}
		}
	}
	return true
}

// holds reports whether a covers everything that b does.
func (a Allow) holds(b Allow) bool {
	return holdsAll(a.Feeds, b.Feeds) && holdsAll(a.Kinds, b.Kinds) && holdsAll(orAny(a.Names), orAny(b.Names)) &&
		a.holdsVersions(b.Versions) && !slices.ContainsFunc(b.Rights, func(r Right) bool { return !slices.Contains(a.Rights, r) })
}

func orAny(patterns []string) []string {
	if len(patterns) == 0 {
		return []string{"*"}
	}
	return patterns
}

// holdsAll reports whether everything that one of patterns matches is matched by
// one of those of a.
func holdsAll(a, patterns []string) bool {
	return !slices.ContainsFunc(patterns, func(p string) bool {
		return !slices.ContainsFunc(a, func(wide string) bool {
			prefix, wild := strings.CutSuffix(wide, "*")
			return p == wide || wild && strings.HasPrefix(strings.TrimSuffix(p, "*"), prefix)
		})
	})
}

// holdsVersions compares masks by what was written: what two ranges have in common
// nobody asks.
func (a Allow) holdsVersions(masks []Mask) bool {
	if len(a.Versions) == 0 {
		return true
	}
	has := func(text string) bool {
		return slices.ContainsFunc(a.Versions, func(m Mask) bool { return m.text == "*" || strings.EqualFold(m.text, text) })
	}
	if len(masks) == 0 {
		return has("*")
	}
	return !slices.ContainsFunc(masks, func(m Mask) bool { return !has(m.text) })
}

// Widen returns the file of a policy, whose name is for messages, with rules added
// to its allow. Everything else says what it did, and comments stay.
func Widen(file string, b []byte, rules []Allow) ([]byte, error) {
	if _, err := ParsePolicy(file, b); err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, err
	}
	allow := allowOf(doc.Content[0])
	allow.Style &^= yaml.FlowStyle // which the rules would be written in too
	for _, rule := range rules {
		n := new(yaml.Node)
		if err := n.Encode(rule); err != nil {
			return nil, err
		}
		allow.Content = append(allow.Content, n)
	}
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(&doc), enc.Close()); err != nil {
		return nil, err
	}
	_, err := ParsePolicy(file, buf.Bytes())
	return buf.Bytes(), err
}

// allowOf returns the list of rules of a policy, and makes one where there is none.
func allowOf(policy *yaml.Node) *yaml.Node {
	for i := 0; i+1 < len(policy.Content); i += 2 {
		if policy.Content[i].Value == "allow" {
			return policy.Content[i+1]
		}
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	policy.Content = append(policy.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "allow"}, list)
	return list
}
