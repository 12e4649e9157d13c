package kind

import (
	"strconv"

	"github.com/Masterminds/semver/v3"
)

var (
	hostRule = rule{
		want: "a range of host versions such as >=2020.1, <2022.4",
		ok: func(s string) bool {
			_, err := semver.NewConstraint(s)
			return err == nil && s != "" && len(s) <= maxName
		},
		shown: true,
	}
	platformRule = matching(`^[a-z0-9]+/[a-z0-9]+$`, "a platform such as windows/amd64")
)

// inspectExtension reads an Extension: binaries for a deployment server and the
// host versions they run on (B4). They are staged, never run by us.
func inspectExtension(r *report, root *node) Document {
	doc, o, ok := r.header(root, "Extension", "host", "files")
	if !ok {
		return doc
	}
	host, _ := o.required("host", hostRule)
	items := o.list("files")
	if list := root.get("files"); list == nil || list.shape == isList && len(items) == 0 {
		r.at(root, "files", "a list of at least one file", "none")
	}
	paths := newPaths(r)
	doc.Digests = map[string]string{}
	for _, it := range items {
		f, ok := r.object(it.node, it.path, "path", "sha256", "platform")
		if !ok {
			continue
		}
		sum, _ := f.text("sha256", sha256Rule)
		f.text("platform", platformRule)
		name, ok := f.required("path", pathRule)
		if !ok || !paths.add(f.n.get("path"), it.path+".path", name) {
			continue
		}
		doc.Attachments = append(doc.Attachments, name)
		if sum != "" {
			doc.Digests[name] = sum
		}
	}
	doc.Executable = true
	doc.Facts = []Fact{{"host", host}, {"files", strconv.Itoa(len(doc.Attachments))}}
	return doc
}
