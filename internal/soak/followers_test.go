package soak

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"airlock/internal/built"
	"airlock/internal/home"
	"airlock/internal/server"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

const (
	// program is what agents hand updates to: it writes down what it is told.
	program = `echo "$AIRLOCK_UPDATE_FEED $AIRLOCK_UPDATE_NAME $AIRLOCK_UPDATE_STATEMENT $AIRLOCK_UPDATE_ID $AIRLOCK_UPDATE_FENCE" >>%s`
	// catchUp is how long followers may take in the end, with nothing in their way.
	catchUp = 5 * time.Minute
)

// follower is a Space of its own, whose agents follow all feeds and give receipts.
type follower struct {
	s      *soak
	space  trust.Space
	agents []*agent
	state  *storage.Store // of who reads their receipts
	push   []string       // the command that has servers push to it; nil where none do
}

func (s *soak) newFollower(name string) *follower {
	return &follower{s: s, space: trust.Space{Organisation: "acme", Name: name}, state: storage.NewMem()}
}

// newPolling returns a Space with two agents that share the work: they ask servers,
// and hand what comes to a program.
func (s *soak) newPolling() *follower {
	f := s.newFollower("polling")
	one, two := s.path("polling-1"), s.path("polling-2")
	token := f.prepare(one)
	s.must(one, "subscription", "add", "all", "--feed", "acme/dev-qa/*", "--exec", fmt.Sprintf(program, s.path("handed-over")), "--every", "1s")
	must(s.t, exec.Command("cp", "-a", one, two).Run())
	for n, dir := range []string{one, two} {
		f.agents = append(f.agents, s.newAgent(fmt.Sprintf("polling-%d", n+1), dir, "--token-file", token, "--takeover", takeover))
	}
	return f
}

// newPushed returns a Space to whose agent servers push. What it takes lies in a folder
// for each feed.
func (s *soak) newPushed() *follower {
	f := s.newFollower("pushed")
	dir := s.path("pushed")
	token := f.prepare(dir)
	for _, t := range s.tracks {
		s.must(dir, "subscription", "add", t.id.Name, "--feed", t.id.String(), "--from", "inbox", "--into", s.path("into-"+t.id.Name), "--every", "1s")
	}
	inbox := "http://" + built.FreeAddress(s.t)
	f.push = []string{"server", "push", "add", f.space.String(), inbox, "--feed", "acme/dev-qa/*"}
	s.must(s.path("home"), f.push...)
	f.agents = append(f.agents, s.newAgent("pushed", dir, "--token-file", token, "--inbox", inbox))
	return f
}

// prepare makes the home of a follower, which trusts the publisher's Space and is
// admitted, and returns the file with its token.
func (f *follower) prepare(dir string) (token string) {
	s := f.s
	h, err := home.Open(dir)
	must(s.t, err)
	own, err := h.Init(s.t.Context(), home.NewSpace{Space: f.space, Issuer: "https://acme.example", Person: "Bob", Now: time.Now()})
	must(s.t, err)
	pin, err := server.CertificatePin(s.key)
	must(s.t, err)
	// Its inbox takes what the operator pushes whose server it joined.
	must(s.t, h.Remember(home.Server{LogKey: s.key.Public(), Pin: pin, URL: "https://feeds.acme.example"}))
	id, token := dir+".id", dir+".token"
	must(s.t, os.WriteFile(id, trust.FormatFile(own), 0o600))
	s.must(s.path("home"), "server", "admit", id)
	s.must(s.path("home"), "server", "token", "add", f.space.String(), "-o", token)
	s.must(dir, "trust", "add", s.path("space.id"), "--thumbprint", s.space.Lineage().String())
	return token
}

// must runs a command of a home, in fine weather.
func (s *soak) must(dir string, args ...string) {
	s.t.Helper()
	if out, err := s.command(s.t.Context(), dir, s.direct, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("airlock %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// backUp copies the home of the first agent.
func (f *follower) backUp() error {
	return exec.Command("cp", "-a", f.agents[0].home, f.agents[0].home+".backup").Run()
}

// restore puts the copy in the place of what is there.
func (f *follower) restore() error {
	dir := f.agents[0].home
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(dir+".backup", dir)
}

// settle waits until the followers have all that is there, with nothing in their way,
// and looks at what they did.
func (s *soak) settle() error {
	for _, f := range s.followers() {
		given, err := f.receipts()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.tally.addN(f.space.Name+": entries applied while things failed", len(given))
		// Who failed for long waits for minutes: it is begun anew, as the handbook says.
		for _, a := range f.agents {
			a.kill(nil)
		}
		if f.push != nil {
			if out, err := s.command(s.t.Context(), s.path("home"), s.direct, f.push...).CombinedOutput(); err != nil {
				return fmt.Errorf("%w\n%s", err, out)
			}
		}
	}
	began, why := time.Now(), error(nil)
	for end := began.Add(catchUp); ; {
		if why = s.behind(); why == nil {
			break
		}
		if time.Now().After(end) || s.first() != nil {
			return fmt.Errorf("followers did not catch up in %s: %w", time.Since(began).Round(time.Second), why)
		}
		time.Sleep(500 * time.Millisecond)
	}
	s.tally.max("followers: caught up in ms", int(time.Since(began).Milliseconds()))
	return s.handedOver()
}

func (s *soak) followers() []*follower { return []*follower{s.polling, s.pushed} }

// behind says what followers do not have yet, or have given no receipt of.
func (s *soak) behind() error {
	updates, err := s.updates()
	if err != nil {
		return err
	}
	newest := map[string]signing.ID{} // by feed and name
	for _, u := range updates {
		newest[u.of()] = u.statement
	}
	for _, t := range s.tracks {
		for name, id := range t.heads {
			if have := newest[update{feed: t.id.String(), name: name}.of()]; have != id {
				return fmt.Errorf("%s of feed %s: entry %s is not handed over, but %s", name, t.id, digits(id), digits(have))
			}
			if got, err := os.ReadFile(filepath.Join(s.path("into-"+t.id.Name), "file", name, "f")); err != nil || string(got) != t.content[id] {
				return fmt.Errorf("%s of feed %s: entry %s is not in the folder: %v", name, t.id, digits(id), err)
			}
		}
	}
	for _, f := range s.followers() {
		if err := f.waiting(); err != nil {
			return err
		}
		given, err := f.receipts()
		if err != nil {
			return err
		}
		for _, t := range s.tracks {
			for name, id := range t.heads {
				if !given[id] {
					return fmt.Errorf("%s of feed %s: there is no receipt of entry %s from %s", name, t.id, digits(id), f.space)
				}
			}
		}
	}
	return nil
}

// waiting says whether receipts lie in the homes of a follower that were not sent.
func (f *follower) waiting() error {
	for _, a := range f.agents {
		out, err := f.s.command(f.s.t.Context(), a.home, f.s.direct, "receipt", "list", "-f", "json").Output()
		if text := strings.TrimSpace(string(out)); err != nil || text != "[]" {
			return fmt.Errorf("receipts wait in the home of %s: %v %.200s", a.name, err, text)
		}
	}
	return nil
}
