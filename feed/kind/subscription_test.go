package kind

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const subscriptionExample = examplesDir + "/subscriptions/shop.yaml"

func exampleSubscription(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(subscriptionExample)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSubscriptionExample(t *testing.T) {
	data := exampleSubscription(t)
	got, err := ParseSubscription("shop.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	if got.Zone.String() != "Europe/Berlin" || got.Versions.String() != ">=1, <3" {
		t.Errorf("zone %s, versions %s", got.Zone, got.Versions)
	}
	rules := []Trigger{
		{Name: "configuration", Kinds: []string{"variable-set"}, Into: "/srv/shop/conf", Prune: true, When: WhenNow},
		{Name: "web", Kinds: []string{"release"}, Names: []string{"shop-*"}, Environments: []string{"Production"}, Roles: []string{"web"},
			Exec: "./deploy.sh", Timeout: 30 * time.Minute, When: WhenAt, At: 120},
		{Name: "database", Kinds: []string{"release"}, Names: []string{"database"}, Exec: "./migrate.sh", When: WhenApproved},
	}
	if diff := cmp.Diff(rules, got.Rules); diff != "" {
		t.Error(diff)
	}
	working := []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	if diff := cmp.Diff([]Window{{Closed: true, Days: working, From: 480, To: 1080}}, got.Windows); diff != "" {
		t.Error(diff)
	}
	if got.Every != 15*time.Second || got.Jitter != 1500*time.Millisecond || got.Bandwidth != 2<<20 || got.Take != TakeNow {
		t.Errorf("every %s, jitter %s, bandwidth %d, take %s", got.Every, got.Jitter, got.Bandwidth, got.Take)
	}
	if verdict, ok := schemaErr(SubscriptionName, data); verdict != nil || !ok {
		t.Errorf("against its schema: %v", verdict)
	}
}

func TestParseSubscriptionRefuses(t *testing.T) {
	good := string(exampleSubscription(t))
	for name, c := range map[string]struct{ old, with, want string }{
		"as it should be":          {"", "", ""},
		"another version":          {"airlock.example/v1", "airlock.example/v2", `s.yaml:2:13: apiVersion: want airlock.example/v1, got "airlock.example/v2"`},
		"another document":         {"kind: Subscription", "kind: Subscriptions", "s.yaml:3:7: kind: want Subscription"},
		"unknown field":            {"every: 15s", "evry: 15s", `s.yaml:7:1: evry: want a known field (did you mean every?), got "evry"`},
		"unknown field in a rule":  {"    prune: true", "    prun: true", "rules[0].prun: want a known field (did you mean prune?)"},
		"field twice":              {"every: 15s", "every: 15s\nevery: 16s", "each field once"},
		"name in capitals":         {"name: shop\n", "name: Shop\n", "s.yaml:4:7: name: want a name of a-z, 0-9 and -"},
		"no feeds":                 {"feeds: [acme/dev-qa/shared, acme/team-*/shared]", "", "feeds: want a list of feeds, got nothing"},
		"empty feeds":              {"[acme/dev-qa/shared, acme/team-*/shared]", "[]", "feeds: want at least one"},
		"feed of two parts":        {"acme/dev-qa/shared", "dev-qa/shared", `s.yaml:6:9: feeds[0]: want a feed such as acme/dev-qa/shared, or a pattern of its three parts such as acme/*/shared, got "dev-qa/shared"`},
		"star inside":              {"team-*", "*-team", "feeds[1]: want a feed"},
		"span without a unit":      {"every: 15s", "every: 15", "every: want a time span such as 15s or 5m (in quotes), got a number"},
		"span too short":           {"every: 15s", "every: 10ms", "every: want a time span of 1s to 24h, got \"10ms\""},
		"jitter above every":       {"every: 15s", "every: 15s\njitter: 16s", "jitter: want a time span of 0s to 15s"},
		"zone that is not":         {"Europe/Berlin", "Europe/Bielefeld", "s.yaml:8:7: zone: want a time zone such as Europe/Berlin or UTC"},
		"day in full":              {"[mon, tue", "[monday, tue", "windows[0].days[0]: want one of sun, mon, tue, wed, thu, fri, sat"},
		"hour that is not":         {`from: "08:00"`, `from: "24:00"`, `windows[0].from: want a time of day such as "08:00", got "24:00"`},
		"window of no length":      {`to: "18:00"`, `to: "08:00"`, `windows[0].to: want another time than from ("00:00" to "24:00" is the whole day), got "08:00"`},
		"window without an end":    {`, to: "18:00"`, "", "windows[0].to: want a time of day"},
		"rate without time":        {"2MiB/s", "2MiB", "bandwidth: want bytes a second such as 2MiB/s or 500kB/s"},
		"rate too low":             {"2MiB/s", "15kB/s", "bandwidth: want a rate of 16kB/s to 1024GiB/s"},
		"kind that is not":         {"kinds: [variable-set, release]", "kinds: [variables]", "kinds[0]: want one of trust-list, environments"},
		"versions":                 {`">=1, <3"`, `">=z"`, "versions: want a version, or a range"},
		"take":                     {"bandwidth: 2MiB/s", "take: later", `take: want one of now, asked, manual, got "later"`},
		"mode":                     {"every: 15s", "mode: push", `mode: want poll, got "push"`},
		"password in a URL":        {"every: 15s", "from: https://me:secret@feeds.acme.example", "from: want the URL of a server, or a store"},
		"rule twice":               {"- name: web", "- name: configuration", "rules[1].name: want each name once"},
		"rule that does nothing":   {"    do: {exec: ./migrate.sh}\n", "", "rules[2].do: want into: FOLDER or exec: COMMAND, got nothing"},
		"rule that does two":       {"do: {exec: ./migrate.sh}", "do: {exec: ./migrate.sh, into: x}", "rules[2].do: want one of into and exec, got both or none"},
		"time for a folder":        {"{into: /srv/shop/conf}", "{into: /srv/shop/conf, timeout: 1m}", "rules[0].do.timeout: want a time for exec only"},
		"when without a time":      {"when: at 02:00", "when: at night", `rules[1].when: want now, approved, or a time of day such as "at 02:00", got "at night"`},
		"environment by id":        {"[Production]", "[Environments-1]", "rules[1].environments[0]: want a name"},
		"roles empty":              {"[web]", "[]", "rules[1].roles: want at least one"},
		"command of several lines": {"exec: ./migrate.sh", `exec: "a\nb"`, "rules[2].do.exec: want one line of text"},
		"alias":                    {"every: 15s", "every: *x", "without aliases"},
		"too large":                {"every: 15s", "every: 15s #" + strings.Repeat(" ", MaxSubscription), "want a subscription of at most"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("%q is not in the example", c.old)
			}
			_, err := ParseSubscription("s.yaml", []byte(strings.Replace(good, c.old, c.with, 1)))
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// What is taken the schema takes, however the example is changed.
func TestSubscriptionSchemaAgrees(t *testing.T) {
	example := exampleSubscription(t)
	rapid.Check(t, func(t *rapid.T) {
		root := parse(&report{}, example)
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			mutate(t, root)
		}
		data := asJSON(root)
		_, err := ParseSubscription("mutated.json", data)
		if verdict, ok := schemaErr(SubscriptionName, data); ok && verdict != nil && err == nil {
			t.Fatalf("accepted, but the schema refuses it: %v\n%s", verdict, data)
		}
	})
}

// FuzzSubscription holds for any bytes: no panic; what is accepted is accepted
// again, the same, when written as JSON, and taken by the schema.
func FuzzSubscription(f *testing.F) {
	f.Add(exampleSubscription(f))
	f.Add([]byte("apiVersion: airlock.example/v1\nkind: Subscription\nname: a\nfeeds: ['*/*/*']\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSubscription("f", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") || len(err.Error()) > 40_000 {
				t.Fatalf("odd error: %q", err)
			}
			return
		}
		root := parse(&report{}, data)
		if again, err := ParseSubscription("f", asJSON(root)); err != nil || !reflect.DeepEqual(s, again) {
			t.Fatalf("read as %+v, again as %+v, %v", s, again, err)
		}
		if verdict, ok := schemaErr(SubscriptionName, data); ok && verdict != nil {
			t.Fatalf("accepted, but the schema refuses it: %v", verdict)
		}
	})
}
