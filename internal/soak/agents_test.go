package soak

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// killAgentEvery is how often an agent is killed, in a run that is long enough.
	killAgentEvery = 12 * time.Second
	// takeover is how long an agent may be silent until the other one takes over.
	takeover = "3s"
)

// agent is one that is killed and started again, in a home of its own.
type agent struct {
	s    *soak
	name string
	home string
	args []string
	log  *os.File

	mu   sync.Mutex
	end  context.CancelFunc // kills it
	then func() error       // what is to be done before it begins again; nil is nothing
}

func (s *soak) newAgent(name, home string, more ...string) *agent {
	var at []string
	for _, u := range s.addresses(s.random("agent " + name)) {
		at = append(at, u.String())
	}
	a := &agent{s: s, name: name, home: home, end: func() {}}
	a.args = append([]string{"agent", "--home", home, "--server", strings.Join(at, ",")}, more...)
	var err error
	a.log, err = os.Create(s.path(name + ".log"))
	must(s.t, err)
	s.t.Cleanup(func() { _ = a.log.Close() })
	return a
}

// run keeps the agent running until ctx ends, and stops it then as its users do.
func (a *agent) run(ctx context.Context) {
	for ctx.Err() == nil {
		life, end := context.WithCancel(context.Background())
		a.mu.Lock()
		a.end = end
		a.mu.Unlock()
		err := a.live(ctx, life)
		if ctx.Err() == nil && life.Err() == nil {
			a.s.broken(fmt.Errorf("%s ended by itself: %w", a.name, err))
			return
		}
		end()
		a.mu.Lock()
		then := a.then
		a.then = nil
		a.mu.Unlock()
		if then != nil {
			a.s.broken(then())
		}
	}
}

// live runs it once: until it is killed, or stopped where ctx ends.
func (a *agent) live(ctx, life context.Context) error {
	c := exec.CommandContext(life, a.s.program, a.args...)
	c.Env = []string{"PATH=" + os.Getenv("PATH")}
	c.Stderr = a.log
	if err := c.Start(); err != nil {
		return err
	}
	a.s.tally.add("agents: started")
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Signal(syscall.SIGTERM) })
	defer stop()
	return c.Wait()
}

// kill kills it.
func (a *agent) kill(then func() error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if then != nil {
		a.then = then
	}
	a.s.tally.add("agents: killed")
	a.end()
}

// killAgents kills one of the agents now and then. A copy of a home is made at a
// quarter of the run and put back at three, as who restores a backup does.
func (s *soak) killAgents(ctx context.Context) {
	random := s.random("agents")
	copied, restored := false, false
	for sleep(ctx, min(killAgentEvery, s.lasts/8)) {
		switch now := s.now(); {
		case !copied && now > s.lasts/4:
			copied = true
			s.pushed.agents[0].kill(s.pushed.backUp)
		case copied && !restored && now > s.lasts*3/4:
			restored = true
			s.pushed.agents[0].kill(s.pushed.restore)
			s.tally.add("agents: restored from a backup")
		default:
			all := append(s.polling.agents[:len(s.polling.agents):len(s.polling.agents)], s.pushed.agents...)
			all[random.IntN(len(all))].kill(nil)
		}
	}
}
