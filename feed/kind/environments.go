package kind

import "strconv"

// inspectEnvironments reads the master list of environments (B25): their order
// is that of the list, their names are unique ignoring case.
func inspectEnvironments(r *report, root *node) Document {
	doc, o, ok := r.header(root, "Environments", "environments")
	if !ok {
		return doc
	}
	items := o.list("environments")
	if list := root.get("environments"); list == nil || list.shape == isList && len(items) == 0 {
		r.at(root, "environments", "a list of at least one environment", "none")
	}
	names := unique{r: r}
	for _, it := range items {
		e, ok := r.object(it.node, it.path, "name", "description", "guidedFailure", "dynamicInfrastructure", "tags")
		if !ok {
			continue
		}
		if name, ok := e.required("name", byNameRule); ok {
			names.add(e.n.get("name"), it.path+".name", name)
		}
		e.text("description", prose)
		e.flag("guidedFailure")
		e.flag("dynamicInfrastructure")
		if tags := e.n.get("tags"); tags != nil {
			r.texts(tags, it.path+".tags", byNameRule)
		}
	}
	doc.Facts = []Fact{{"environments", strconv.Itoa(len(items))}}
	return doc
}
