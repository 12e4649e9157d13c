package feedhttp

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"airlock/trust"
)

// endpoint answers one method of one resource.
type endpoint func(*Handler, *call) (answer, error)

// access says what a caller must show before an endpoint is asked.
type access int

const (
	anyone    access = iota // says nothing about feeds; nobody is asked for a credential
	callers                 // the backend decides by who asks
	operators               // administrators, and this machine
)

// route is one resource: a row of the interface.
type route struct {
	name      string // in metrics and the access log
	index     int
	path      string // template of gorilla/mux
	access    access
	get       endpoint // HEAD too, where head is nil
	head      endpoint
	post      endpoint
	patch     endpoint
	put       endpoint
	allow     string
	fast      string // what find compares {F}/… with before it asks the router
	wholeFast bool   // fast is all of it
	untraced  bool   // asked every few seconds by what watches servers
}

type routes struct {
	all     []*route
	fast    []*route
	unknown *route // stands for every path that is none of ours
}

const feedTemplate = feedsPath + "{organisation}/{space}/{feed}/"

func newRoutes() *routes {
	rs := &routes{unknown: &route{name: "unknown"}}
	return rs.with([]*route{
		{name: "object", path: feedTemplate + "object/{rest}", access: callers, get: getObject, fast: "object/"},
		{name: "checkpoint", path: feedTemplate + "checkpoint", access: callers, get: getCheckpoint, fast: "checkpoint", wholeFast: true},
		{name: "segment", path: feedTemplate + "segment/{rest:.+}", access: callers, get: getSegment, fast: "segment/"},
		{name: "pack", path: feedTemplate + "pack/{rest:.+}", access: callers, get: getPack, fast: "pack/"},
		{name: "tile", path: feedTemplate + "tile/{rest:.+}", access: callers, get: getTile, fast: "tile/"},
		{name: "chunks", path: feedTemplate + "chunks/{rest}", access: callers, get: getChunks},
		{name: "delta", path: feedTemplate + "delta/{rest:.+}", access: callers, get: getDelta},
		{name: "audience", path: feedTemplate + "audience", access: callers, get: getAudience, put: putAudience},
		{name: "board", path: "/v1/spaces/{organisation}/{space}/board", access: callers, get: getBoard, put: putBoard},
		{name: "entries", path: feedTemplate + "entries", access: callers, post: postEntries},
		{name: "uploads", path: feedTemplate + "uploads", access: callers, post: postUploads},
		{name: "upload", path: feedTemplate + "uploads/{rest}", access: callers, head: headUpload, patch: patchUpload},
		{name: "join", path: joinPath, access: anyone, post: postJoin},
		{name: "identities", path: identityPath, access: anyone, post: postIdentity},
		{name: "info", path: infoPath, access: anyone, get: getInfo},
		{name: "grown", path: grownPath, access: callers, post: postGrown},
		{name: "heads", path: headsPath, access: callers, post: postHeads},
		{name: "feeds", path: "/v1/feeds", access: callers, get: getFeeds},
		{name: "healthz", path: "/healthz", access: anyone, get: getHealth, untraced: true},
		{name: "readyz", path: "/readyz", access: anyone, get: getReady, untraced: true},
		{name: "metrics", path: "/metrics", access: operators, get: getMetrics, untraced: true},
	}...)
}

// with adds resources, and what stands for all others.
func (rs *routes) with(all ...*route) *routes {
	rs.all = append(all, rs.unknown)
	for i, rt := range rs.all {
		rt.index = i
		rt.allow = rt.methods()
		if rt.fast != "" {
			rs.fast = append(rs.fast, rt)
		}
	}
	return rs
}

func (rt *route) methods() string {
	var out []string
	for method, do := range map[string]endpoint{"GET": rt.get, "POST": rt.post, "PATCH": rt.patch, "PUT": rt.put} {
		if do != nil {
			out = append(out, method)
		}
	}
	if rt.get != nil || rt.head != nil {
		out = append(out, "HEAD")
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// ServeHTTP makes a route a handler for gorilla/mux, which only finds it.
func (rt *route) ServeHTTP(http.ResponseWriter, *http.Request) {}

// Endpoints returns every request that a Handler answers, as "METHOD /path" with
// the names of what varies in braces: for who has to look at all of them.
func Endpoints() []string { return newRoutes().endpoints() }

// InboxEndpoints is Endpoints of a Handler with an inbox.
func InboxEndpoints() []string { return inboxRoutes().endpoints() }

func (rs *routes) endpoints() (out []string) {
	for _, rt := range rs.all {
		if rt.path == "" {
			continue
		}
		for method := range strings.SplitSeq(rt.allow, ", ") {
			out = append(out, method+" "+rt.path)
		}
	}
	return out
}

func (rs *routes) router() *mux.Router {
	router := mux.NewRouter().SkipClean(true)
	for _, rt := range rs.all {
		if rt.path != "" {
			router.Path(rt.path).Handler(rt)
		}
	}
	return router
}

// find fills in the route, the feed and the rest of the path, and returns the
// endpoint. What most requests are for is found by hand; the router, which
// costs several times as much, does the rest.
func (h *Handler) find(c *call) (endpoint, error) {
	c.route = h.routes.unknown
	if int64(len(c.r.RequestURI)) > h.limits().URLBytes {
		return nil, &LimitError{"URL", h.limits().URLBytes}
	}
	if (c.r.Method == http.MethodGet || c.r.Method == http.MethodHead) && h.findFast(c) {
		return c.route.get, nil
	}
	if c.r.ContentLength != 0 && (c.r.Method == http.MethodGet || c.r.Method == http.MethodHead) {
		return nil, badRequest("%s with a body", c.r.Method)
	}
	if err := checkPath(c.r.URL.Path, c.r.URL.RawPath); err != nil {
		return nil, err
	}
	var m mux.RouteMatch
	if !h.router.Match(c.r, &m) {
		return nil, errNoRoute
	}
	rt, ok := m.Handler.(*route)
	if !ok {
		return nil, errNoRoute
	}
	c.route, c.rest = rt, m.Vars["rest"]
	for name, to := range map[string]*string{"organisation": &c.id.Space.Organisation, "space": &c.id.Space.Name, "feed": &c.id.Name} {
		label, ok := m.Vars[name]
		if !ok {
			continue
		}
		if *to = label; trust.CheckLabel(label) != nil {
			return nil, badRequest("path: %s", trust.CheckLabel(label))
		}
	}
	return rt.method(c.r.Method)
}

// findFast finds the resources of a feed that readers ask for.
func (h *Handler) findFast(c *call) bool {
	if c.r.URL.RawPath != "" || c.r.ContentLength != 0 {
		return false
	}
	id, rest, ok := cutFeed(c.r.URL.Path)
	if !ok {
		return false
	}
	for _, rt := range h.routes.fast {
		if len(rest) >= len(rt.fast) && rest[:len(rt.fast)] == rt.fast && (rt.wholeFast == (len(rest) == len(rt.fast))) {
			c.id, c.rest, c.route = id, rest[len(rt.fast):], rt
			return true
		}
	}
	return false
}

func (rt *route) method(method string) (endpoint, error) {
	var do endpoint
	switch method {
	case http.MethodGet:
		do = rt.get
	case http.MethodHead:
		if do = rt.head; do == nil {
			do = rt.get
		}
	case http.MethodPost:
		do = rt.post
	case http.MethodPatch:
		do = rt.patch
	case http.MethodPut:
		do = rt.put
	}
	if do == nil {
		return nil, &MethodError{method, rt.allow}
	}
	return do, nil
}

var errNoRoute = fmt.Errorf("nothing is served under this path: %w", errNotFound)
