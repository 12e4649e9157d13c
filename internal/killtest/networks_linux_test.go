package killtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"airlock/internal/built"
	"airlock/storage/storetest"
)

// layNetworks makes the networks a and b, each with one way out: to the namespace
// that this runs in, where the store is, and which passes on what they send each
// other. Nothing of it is seen outside, and all of it ends with the last process in it.
const layNetworks = `
PATH=$PATH:/usr/sbin:/sbin
mount -t tmpfs none /run
ip link set lo up
ip address add 10.99.0.1/32 dev lo
lay() {
	ip netns add "$1"
	ip link add name "to-$1" type veth peer name hub netns "$1"
	ip address add "10.99.$2.1/24" dev "to-$1"
	ip link set "to-$1" up
	ip -n "$1" link set lo up
	ip -n "$1" address add "10.99.$2.2/24" dev hub
	ip -n "$1" link set hub up
	ip -n "$1" route add default via "10.99.$2.1"
}
lay a 1
lay b 2
echo 1 >/proc/sys/net/ipv4/ip_forward
echo ` + networksLaid + `
exec "$@"`

const (
	networksLaid = "the networks are there"
	// networksVariable says to the test binary that it runs among them, and names the
	// program.
	networksVariable = "KILLTEST_NETWORKS"
	networksStore    = "10.99.0.1:9000"
	// found is how soon a server knows what another one committed that did not tell it
	// (docs/operations.md, Another server).
	found = 2 * time.Second
	// toldAway bounds a command whose server has no store: it waits for the store
	// itself, 30 s for a commit, and its client asks no more after a quarter of a minute.
	toldAway = time.Minute
)

// Two networks, each with a server of one store, are cut apart in the kernel: both go
// on. Then one is cut off from the store too: who is there is told so, and the other
// goes on. When they are whole again everything that was acknowledged is there, once.
func TestNetworksCut(t *testing.T) {
	if program := os.Getenv(networksVariable); program != "" {
		newNetworks(t, program).cut()
		return
	}
	self, err := os.Executable()
	must(t, err)
	c := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child",
		"sh", "-euc", layNetworks, "sh", self, "-test.run", "^TestNetworksCut$", "-test.v", "-test.timeout", "5m")
	c.Env = append(os.Environ(), networksVariable+"="+built.Airlock(t))
	out, err := c.CombinedOutput()
	switch {
	case !bytes.Contains(out, []byte(networksLaid)):
		t.Skipf("this machine lets no networks be made: %v\n%s", err, out)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("%s", out)
	default:
		t.Logf("%s", out)
	}
}

// networks are two, and the world that is in them.
type networks struct {
	*world
	a, b *side
}

// side is a network, with a server and who uses it.
type side struct {
	network string
	url     string // of its server
	home    string // of that
	server  *built.Process
	client  int    // the number of the publisher's home
	reader  string // home of a Space that follows
	into    string // where that one puts what it takes
}

func newNetworks(t *testing.T, program string) *networks {
	cfg := storetest.VersityGWAt(t, networksStore)
	n := &networks{world: newWorldOf(t, program, "s3://"+cfg.Bucket+"/networks", append(s3Env(cfg), "AIRLOCK_S3_INSECURE=true"))}
	n.networks = map[string]string{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the servers said:\n%s", n.said())
		}
	})
	n.must("server", "admit", n.file("space.id"), "--store", n.store)
	n.a, n.b = n.newSide(0, "a", "10.99.1.2:7443"), n.newSide(1, "b", "10.99.2.2:7443")
	return n
}

// newSide puts the server with the home of a number into a network, and its users.
func (n *networks) newSide(number int, network, address string) *side {
	s := &side{network: network, url: "https://" + address, home: n.home(number), client: 2 + number, into: n.file("conf-" + network)}
	s.reader = n.receiver("reader-"+network, s.url)
	n.join(n.home(s.client), s.url)
	for _, home := range []string{s.home, n.home(s.client), s.reader} {
		n.networks[home] = network
	}
	s.server = n.serveFrom(number, address, "--tls", "self", "--advertise", s.url)
	return s
}

func (n *networks) cut() {
	n.findEachOther("together")

	n.forwarding("0")
	before := n.passedOn()
	n.publishUntil("apart", "a server that commits what it could not pass on", func() bool {
		return bytes.Contains(n.said(), []byte("so it is committed here"))
	})
	n.seen(n.a, n.b)
	if now := n.passedOn(); now != before {
		n.t.Errorf("%d batches were passed on between networks that are cut apart", now-before)
	}

	n.link("down")
	publication := n.publication("cut-off", n.a)
	var asked sync.WaitGroup
	asked.Go(func() { n.isToldAway(publication) })
	n.comesToBe("a server that says that its store is away", func() bool { return n.a.ready(n.t) == http.StatusServiceUnavailable })
	asked.Go(func() { n.isToldAway(n.pull(n.a)) }) // what was read a moment before the cut still answers
	n.publishIn("alone", n.b)
	n.seen(n.b)
	if status := n.b.ready(n.t); status != http.StatusOK {
		n.t.Errorf("the server that has its store says %d", status)
	}
	asked.Wait()

	n.link("up")
	n.forwarding("1")
	n.mustPublish(n.a.client, "cut-off", n.a.url)
	n.comesToBe("a server that is ready again", func() bool { return n.a.ready(n.t) == http.StatusOK })
	n.findEachOther("healed")
	for _, s := range []*side{n.a, n.b} {
		must(n.t, s.server.Stop())
	}
	n.checkAll()
}

// forwarding lets the networks reach each other or not. Packets between them are lost.
func (n *networks) forwarding(on string) {
	must(n.t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte(on), 0))
}

// link sets the way out of network a up or down.
func (n *networks) link(to string) {
	if out, err := exec.CommandContext(n.t.Context(), "ip", "link", "set", "to-a", to).CombinedOutput(); err != nil {
		n.t.Fatalf("%v\n%s", err, out)
	}
}

// findEachOther publishes in both networks until the servers pass on to each other.
func (n *networks) findEachOther(phase string) {
	before := n.passedOn()
	n.publishUntil(phase, "servers that pass on to each other", func() bool { return n.passedOn() > before })
	n.seen(n.a, n.b)
}

// publishUntil publishes in both networks until something came to be.
func (n *networks) publishUntil(phase, what string, is func() bool) {
	round := 0
	n.comesToBe(what+", "+phase, func() bool {
		n.publishIn(fmt.Sprintf("%s-%d", phase, round), n.a, n.b)
		round++
		return is()
	})
}

// passedOn returns how many batches the servers took from each other, by their audit
// logs.
func (n *networks) passedOn() (count int) {
	for _, s := range []*side{n.a, n.b} {
		b, err := os.ReadFile(filepath.Join(s.home, "audit.log"))
		must(n.t, err)
		count += bytes.Count(b, []byte(`"operation":"publish","thing":"`+n.feed.String()+`","caller":"peer"`))
	}
	return count
}

// publishIn publishes packages in networks at the same time, each at its server.
func (n *networks) publishIn(phase string, sides ...*side) {
	var wg sync.WaitGroup
	for _, s := range sides {
		wg.Go(func() {
			for i := range 3 {
				n.mustPublish(s.client, fmt.Sprintf("%s-%s-%d", phase, s.network, i), s.url)
			}
		})
	}
	wg.Wait()
}

// publication returns a command that publishes a package, as mustPublish does.
func (n *networks) publication(name string, s *side) []string {
	must(n.t, os.WriteFile(n.file(name), []byte("payload of "+name), 0o600))
	return []string{n.home(s.client), "publish", "shared", n.file(name), "--kind", "file", "--name", name, "--version", "1", "--server", s.url}
}

func (n *networks) pull(s *side) []string {
	return []string{s.reader, "pull", n.feed.String(), "--into", s.into, "--receipts", "off", "--server", s.url}
}

// seen pulls in networks until everything that was acknowledged is there: with a pull
// that begins soon after the last was.
func (n *networks) seen(sides ...*side) {
	last := time.Now()
	for _, s := range sides {
		for missing := "all"; missing != ""; {
			late := time.Since(last) > found
			pull := n.pull(s)
			if out, err := n.command(n.t.Context(), pull[0], pull[1:]...).CombinedOutput(); err != nil {
				n.t.Fatalf("pull in %s: %v\n%s", s.network, err, out)
			}
			if missing = n.missing(s.into); missing != "" && late {
				n.t.Errorf("%s is not seen in %s for more than %s", missing, s.network, found)
				break
			}
		}
	}
}

// missing returns a package that was acknowledged and is not in a folder as it was
// published, "" where there is none.
func (n *networks) missing(into string) string {
	for _, a := range n.acked {
		got, err := os.ReadFile(filepath.Join(into, "file", a.name, a.name))
		if err != nil || string(got) != "payload of "+a.name {
			return a.name
		}
	}
	return ""
}

// isToldAway runs a command against a server that does not reach its store: it ends
// in time, with the exit code and the words that the handbook has for that.
func (n *networks) isToldAway(command []string) {
	ctx, cancel := context.WithTimeout(n.t.Context(), toldAway)
	defer cancel()
	begun := time.Now()
	c := n.command(ctx, command[0], command[1:]...)
	out, _ := c.CombinedOutput()
	if code := c.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), "the store does not answer") || !strings.Contains(string(out), "hint: whoever runs the server looks at its store") {
		n.t.Errorf("%s, cut off: exit code %d after %s\n%s", command[1], code, time.Since(begun), out)
	}
	n.t.Logf("%s, cut off: told after %s", command[1], time.Since(begun).Round(time.Second))
}

// ready asks the server of a network, from within that, whether it is.
func (s *side) ready(t *testing.T) (status int) {
	// Anyone may ask this; it is the commands that hold a server to its key.
	transport := &http.Transport{DialContext: s.dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	client := http.Client{Transport: transport, Timeout: 10 * time.Second}
	r, err := client.Get(s.url + "/readyz")
	must(t, err)
	must(t, r.Body.Close())
	return r.StatusCode
}

// dial connects within a network: a socket is in that of the thread which made it.
func (s *side) dial(ctx context.Context, kind, address string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // it is not unlocked, so the thread ends here
		var file *os.File
		if file, err = os.Open(networkFiles + s.network); err != nil {
			return
		}
		defer file.Close()
		if err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err == nil {
			conn, err = new(net.Dialer).DialContext(ctx, kind, address)
		}
	}()
	<-done
	return conn, err
}
