package kind

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"airlock/trust"
)

// SubscriptionName is how Schema calls the document of a Subscription, which is
// no kind of package: it stays where it is.
const SubscriptionName = "subscription"

// SubscriptionDocument is what its field kind says.
const SubscriptionDocument = "Subscription"

// MaxSubscription bounds a subscription, in bytes.
const MaxSubscription = 256 << 10

// Subscription says what a Space takes by itself, when, and what is to be done
// with it. It is read under the rules of documents and lies in the home:
//
//	apiVersion: airlock.example/v1
//	kind: Subscription
//	name: shop
//	feeds: [acme/*/shared]
//	windows:
//	  - {closed: true, days: [mon, tue, wed, thu, fri], from: "08:00", to: "18:00"}
//	rules:
//	  - name: configuration
//	    kinds: [variable-set]
//	    do: {into: /srv/shop/conf}
//
// Whatever it says, nothing is applied that the trust policy does not let in.
type Subscription struct {
	Name, Description string
	// Feeds are names, in which a part may be "*" or end with it. Such a pattern
	// is about feeds of the Spaces that are trusted.
	Feeds []string
	From  string // URL, folder or bucket; empty for the server of the home
	// Every is how often the source is asked at least, Jitter by how much that
	// may differ.
	Every, Jitter time.Duration
	Zone          *time.Location // of all times of day
	Windows       []Window
	Bandwidth     int64 // bytes a second of contents, 0 for no limit
	Take          string
	// Kinds, Names and Versions select packages as the flags of airlock pull do.
	Kinds, Names []string
	Versions     trust.Mask
	Rules        []Trigger
}

// The values of Subscription.Take.
const (
	TakeNow    = "now"    // whatever comes
	TakeAsked  = "asked"  // what its publisher asked to be taken at once; the rest by hand
	TakeManual = "manual" // nothing: airlock pull takes it
)

// Window is a span of each of some days.
type Window struct {
	Closed bool // nothing is taken in it; else something is taken in it, and in others like it, alone
	Days   []time.Weekday
	// From and To are minutes since midnight, To up to 1440. Where To is not
	// after From the span ends on the day after; Days are those on which it begins.
	From, To int
}

// Trigger is a rule of a subscription: which packages, where, and what is done
// with them.
type Trigger struct {
	Name         string
	Kinds, Names []string
	// Environments and Roles say where the rule holds: in an installation with
	// one of each. None stands for everywhere.
	Environments, Roles []string
	Into, Exec          string        // one of them
	Timeout             time.Duration // of one run of Exec, 0 for none
	Prune               bool          // what was withdrawn goes
	When                string        // WhenNow, WhenApproved or WhenAt
	At                  int           // minutes since midnight, of WhenAt
}

// The values of Trigger.When.
const (
	WhenNow      = "now"
	WhenApproved = "approved" // by a person whom the own identity lists as approver
	WhenAt       = "at"
)

// ParseSubscription reads a subscription; file is its name in errors, which are
// those of Inspect.
func ParseSubscription(file string, data []byte) (Subscription, error) {
	r := &report{file: file}
	if len(data) > MaxSubscription {
		r.at(nil, "", fmt.Sprintf("a subscription of at most %d bytes", MaxSubscription), fmt.Sprintf("%d bytes", len(data)))
		return Subscription{}, r.err()
	}
	root := parse(r, data)
	if root == nil || r.err() != nil {
		return Subscription{}, r.err()
	}
	s := r.subscription(root)
	if err := r.err(); err != nil {
		return Subscription{}, err
	}
	return s, nil
}

var (
	labelRule = rule{want: "a name of a-z, 0-9 and - of at most 63 characters, such as shop", shown: true,
		ok: func(s string) bool { return trust.CheckLabel(s) == nil }}
	feedRule = matching(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?|[a-z0-9-]{0,62}\*)(/([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?|[a-z0-9-]{0,62}\*)){2}$`,
		"a feed such as acme/dev-qa/shared, or a pattern of its three parts such as acme/*/shared")
	namesRule = matching(`^([a-z0-9][a-z0-9._-]*\*?|\*)$`, "a package's name, exact or with a final *")
	kindsRule = rule{
		want: oneOf(Names()) + ", or the beginning of some with a final *",
		ok: func(s string) bool {
			return strings.HasSuffix(s, "*") && namesRule.ok(s) || slices.Contains(Names(), s)
		},
		shown: true, words: Names(),
	}
	maskRule = rule{want: "a version, or a range such as 1.x, ~1.4 or >=2, <3", shown: true, ok: func(s string) bool {
		_, err := trust.ParseMask(s)
		return err == nil
	}}
	fromRule = rule{want: "the URL of a server, or a store: a folder or s3://bucket/prefix", ok: isPlace}
	lineRule = rule{want: "one line of text", ok: func(s string) bool {
		return strings.TrimSpace(s) != "" && !strings.ContainsFunc(s, unprintable) && !strings.ContainsAny(s, "\n\t")
	}}
)

// isPlace refuses what holds a password: this file is for many eyes.
func isPlace(s string) bool {
	if !lineRule.ok(s) {
		return false
	}
	u, err := url.Parse(s)
	return !strings.Contains(s, "://") || err == nil && u.Host != "" && u.User == nil && slices.Contains([]string{"http", "https", "s3"}, u.Scheme)
}

func (r *report) subscription(root *node) (s Subscription) {
	o, ok := r.object(root, "", "apiVersion", "kind", "name", "description", "feeds", "from", "mode", "every", "jitter", "zone", "windows",
		"bandwidth", "kinds", "names", "versions", "take", "rules")
	if !ok {
		return s
	}
	o.required("apiVersion", word(apiVersion))
	o.required("kind", word(SubscriptionDocument))
	s.Name, _ = o.required("name", labelRule)
	s.Description, _ = o.text("description", prose)
	if o.n.get("feeds") == nil {
		o.required("feeds", rule{want: "a list of feeds"})
	}
	s.Feeds = o.some("feeds", feedRule)
	s.From, _ = o.text("from", fromRule)
	o.text("mode", word("poll"))
	s.Every = o.span("every", 15*time.Second, time.Second, 24*time.Hour)
	s.Jitter = o.span("jitter", s.Every/10, 0, s.Every)
	s.Zone = o.zone("zone")
	for _, it := range o.list("windows") {
		s.Windows = append(s.Windows, r.window(it))
	}
	s.Bandwidth = o.rate("bandwidth")
	s.Kinds, s.Names = o.some("kinds", kindsRule), o.some("names", namesRule)
	if text, ok := o.text("versions", maskRule); ok {
		s.Versions, _ = trust.ParseMask(text)
	}
	s.Take = TakeNow
	if text, ok := o.text("take", word(TakeNow, TakeAsked, TakeManual)); ok {
		s.Take = text
	}
	s.Rules = o.triggers("rules")
	return s
}

// some reads a list that, where it is there, names something: an empty one would
// read as "nothing" to people.
func (o object) some(name string, want rule) []string {
	n := o.n.get(name)
	if n == nil {
		return nil
	}
	at := join(o.path, name)
	if n.shape == isList && len(n.items) == 0 {
		o.r.at(n, at, "at least one (leave the list out for all)", "an empty list")
	}
	return o.r.texts(n, at, want)
}

func (o object) triggers(name string) (out []Trigger) {
	names := unique{r: o.r}
	for _, it := range o.list(name) {
		t, ok := o.r.trigger(it)
		if ok && names.add(it.node.get("name"), it.path+".name", t.Name) {
			out = append(out, t)
		}
	}
	return out
}

func (r *report) trigger(it item) (t Trigger, ok bool) {
	o, ok := r.object(it.node, it.path, "name", "kinds", "names", "environments", "roles", "do", "when", "prune")
	if !ok {
		return t, false
	}
	t.Name, ok = o.required("name", labelRule)
	t.Kinds, t.Names = o.some("kinds", kindsRule), o.some("names", namesRule)
	t.Environments, t.Roles = o.some("environments", byNameRule), o.some("roles", byNameRule)
	t.Prune = o.flag("prune")
	t.When = WhenNow
	if text, said := o.text("when", whenRule); said {
		when, at, _ := strings.Cut(text, " ")
		t.When = when
		if when == WhenAt {
			t.At, _ = minutes(at)
		}
	}
	do := o.n.get("do")
	if do == nil {
		r.at(it.node, it.path+".do", "into: FOLDER or exec: COMMAND", "nothing")
		return t, ok
	}
	d, isObject := r.object(do, it.path+".do", "into", "exec", "timeout")
	if !isObject {
		return t, ok
	}
	t.Into, _ = d.text("into", lineRule)
	t.Exec, _ = d.text("exec", lineRule)
	if (do.get("into") == nil) == (do.get("exec") == nil) {
		r.at(do, it.path+".do", "one of into and exec", "both or none")
	}
	t.Timeout = d.span("timeout", 0, time.Second, 24*time.Hour)
	if do.get("timeout") != nil && do.get("exec") == nil {
		r.at(do.get("timeout"), it.path+".do.timeout", "a time for exec only", "one for into")
	}
	return t, ok
}
