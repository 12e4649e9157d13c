package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"airlock/feed"
	"airlock/feed/feedhttp"
	"airlock/feed/log"
	"airlock/storage"
	"airlock/trust"
)

// Config is what a server works with.
type Config struct {
	Store *storage.Store
	// LogKey signs checkpoints. Without one the server only reads.
	LogKey feed.LogKey
	// Floor keeps the highest heads outside the store; see log.Config.
	Floor log.Floor
	// Cache stands before the store, nil for none.
	Cache *storage.Cache
	// Spool keeps uploads that are not complete, nil to take none.
	Spool Spool
	// Deltas makes deltas between the large files of one version and the next,
	// in the background after each commit.
	Deltas bool
	// Open lets who shows no credential read what every admitted Space may, and
	// bring what a Space signed. It is for servers that only this machine
	// reaches.
	Open bool
	// Watch looks each second whether what callers may do has changed, so that
	// those who wait hear of it.
	Watch bool
	// Peering is how other servers of the store know this one. Join begins it.
	Peering Peering
	// Pushing is how it pushes. Join begins it.
	Pushing Pushing
	// Window, Fresh and Recheck are those of log.Config.
	Window, Fresh, Recheck time.Duration
	// Audit gets a line for what changes something, also where it was refused;
	// Logger what operators need.
	Audit, Logger *slog.Logger
	Now           func() time.Time
}

// Spool keeps uploads until they are complete, across restarts.
type Spool interface {
	// Offset returns how many bytes of an upload are there.
	Offset(space string, ref storage.Ref) (int64, error)
	// Append adds bytes at an offset and returns how many are there then.
	Append(ctx context.Context, space string, ref storage.Ref, off int64, r io.Reader) (int64, error)
	// Commit moves a complete upload into objects.
	Commit(ctx context.Context, space string, ref storage.Ref, to storage.Objects) error
}

// Server keeps feeds. It may be used concurrently.
type Server struct {
	config   Config
	logs     *log.Logs
	expected expected
	quotas   quotas
	deltas   *deltas // nil where none are made
	// Spaces take turns where the processor is busy for them: verifying what they
	// signed, and keeping what they uploaded.
	verifying, storing *feedhttp.Queue
	forwards           *prometheus.CounterVec // by outcome
	access             *accessState
	ready              readiness
	peers              *peers  // nil for a server that works alone
	pusher             *pusher // nil for a server that does not push
	pushFeeds          *pushFeeds
	helpers            chan struct{} // has room for those who read heads for a call
	watching           sync.WaitGroup
	stop               context.CancelFunc // ends watching

	mu     sync.Mutex
	spaces map[trust.Space]*trust.History
	views  map[feed.ID]*feedView
	// Of Spaces that connect with a certificate.
	connections map[trust.Space]*connecting
}

var (
	_ feedhttp.Reader   = (*Server)(nil)
	_ feedhttp.Writer   = (*Server)(nil)
	_ feedhttp.Enroller = (*Server)(nil)
)

// Bounds of what waits for the processor: of one Space, and of all.
const (
	lineOf  = 256
	linesOf = 4096
)

// New returns a server on a store. Close it.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	discard := slog.New(slog.DiscardHandler)
	if c.Audit == nil {
		c.Audit = discard
	}
	if c.Logger == nil {
		c.Logger = discard
	}
	s := &Server{
		config: c,
		logs: log.New(log.Config{Store: c.Store, Cache: c.Cache, Key: c.LogKey, Floor: c.Floor, Window: c.Window,
			Fresh: c.Fresh, Recheck: c.Recheck, Owner: c.Peering.ID, Logger: c.Logger, Now: c.Now}),
		expected:  expected{objects: map[objectKey]expectation{}},
		quotas:    quotas{used: map[trust.Space]*spaceUse{}, rates: map[trust.Space]*rate{}},
		verifying: feedhttp.NewQueue("batches to verify", 2*storage.Workers(), lineOf, linesOf),
		forwards:  newForwards(),
		storing:   feedhttp.NewQueue("uploads to store", 2*storage.Workers(), lineOf, linesOf),
		spaces:    map[trust.Space]*trust.History{},
		views:     map[feed.ID]*feedView{},
		helpers:   make(chan struct{}, headsAtOnce),
		access:    newAccessState(c.Store.Cells, c.Now, c.Logger),

		connections: map[trust.Space]*connecting{},
	}
	s.pushFeeds = newPushFeeds(s.logs)
	s.ready = readiness{look: s.lookAtStore, now: c.Now, turns: feed.NewTurns[struct{}, struct{}]()}
	if c.Deltas {
		s.deltas = s.startDeltas()
	}
	ctx, stop := context.WithCancel(context.Background())
	if s.stop = stop; c.Watch {
		s.watching.Go(func() { s.access.watch(ctx) })
	}
	return s
}

// Join makes the holder of Config.LogKey the operator of the store, where it has none;
// a *log.OperatorError where another one is. Then it makes this server known to the
// others of its store, and them to it: where Config.Peering names it, once its address
// answers, and before it is used. Then it pushes, where it is to.
func (s *Server) Join(ctx context.Context) (err error) {
	if !s.config.LogKey.IsZero() {
		err = s.logs.Claim(ctx)
	}
	if err != nil {
		return err
	}
	if s.config.Peering.ID != "" && !s.config.LogKey.IsZero() {
		s.peers, err = s.startPeers(s.config.Peering)
	}
	if err == nil && s.config.Pushing.On && !s.config.LogKey.IsZero() {
		s.pusher = s.startPusher()
	}
	return err
}

// Close finishes what is being committed, and gives up what is done in the
// background.
func (s *Server) Close() error {
	s.stop()
	s.watching.Wait()
	if s.pusher != nil {
		s.pusher.close()
	}
	if s.peers != nil {
		s.peers.close()
	}
	if s.deltas != nil {
		s.deltas.close()
	}
	return s.logs.Close()
}

// admissionKey is the file that holds the identity file of an admitted Space.
// It is written once: a name cannot pass to another lineage.
func admissionKey(s trust.Space) string { return admissionPrefix + s.String() }

const admissionPrefix = "spaces/"

// RuleAdmission is the rule of a *trust.DeniedError about a Space that was not
// admitted.
const RuleAdmission = "admission"

// Admit lets a Space append and connect. Admitting it again is harmless, and ends a
// dismissal; with a file of later versions these are known here then. Another
// lineage under a name that was admitted is refused. Administrators may.
func (s *Server) Admit(ctx context.Context, c feedhttp.Caller, file []byte) (*trust.History, error) {
	h, err := trust.ParseFile(file)
	if err != nil {
		return nil, err
	}
	if err = mayAdminister(c); err == nil {
		err = s.admit(ctx, h, file)
	}
	if err == nil {
		err = s.setDismissed(ctx, h.Space(), false)
	}
	s.audit(ctx, c, "admit", h.Space().String(), err, "lineage", h.Lineage().String())
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (s *Server) admit(ctx context.Context, h *trust.History, file []byte) error {
	err := s.config.Store.Files.Create(ctx, admissionKey(h.Space()), file)
	if !errors.Is(err, storage.ErrExists) {
		return err
	}
	if err := s.checkName(ctx, h); err != nil {
		return err
	}
	_, _, err = s.learn(ctx, h)
	return err
}

// checkName refuses another lineage under a name that was admitted.
func (s *Server) checkName(ctx context.Context, h *trust.History) error {
	have, err := s.admitted(ctx, h.Space())
	if deniedAdmission(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if have.Lineage() != h.Lineage() {
		return &trust.DeniedError{Reason: trust.Untrusted, Rule: "lineage", Thing: h.Space().String(),
			Why: fmt.Sprintf("the name is admitted for lineage %s, this is %s", have.Lineage(), h.Lineage())}
	}
	return nil
}

// deniedAdmission matches the refusal of a Space that was not admitted.
func deniedAdmission(err error) bool {
	denied, ok := errors.AsType[*trust.DeniedError](err)
	return ok && denied.Rule == RuleAdmission
}

// Spaces returns the Spaces that were admitted.
func (s *Server) Spaces(ctx context.Context) ([]*trust.History, error) {
	var out []*trust.History
	for key, err := range s.config.Store.Files.List(ctx, admissionPrefix, "") {
		if err != nil {
			return nil, err
		}
		space, err := trust.ParseSpace(key[len(admissionPrefix):])
		if err != nil {
			return nil, fmt.Errorf("store: key %q: %w", key, err)
		}
		h, err := s.admitted(ctx, space)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

// admitted returns the identity under which a Space was admitted.
func (s *Server) admitted(ctx context.Context, space trust.Space) (*trust.History, error) {
	s.mu.Lock()
	h, ok := s.spaces[space]
	s.mu.Unlock()
	if ok {
		return h, nil
	}
	h, err := s.admission(ctx, space)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spaces[space] = h
	return h, nil
}

// admission reads the identity under which a Space was admitted, and keeps nothing:
// of Spaces that only connect there may be very many.
func (s *Server) admission(ctx context.Context, space trust.Space) (*trust.History, error) {
	file, err := s.config.Store.Files.Get(ctx, admissionKey(space))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &trust.DeniedError{Reason: trust.Untrusted, Rule: RuleAdmission, Thing: space.String(), Why: "is not admitted here"}
	}
	if err != nil {
		return nil, err
	}
	h, err := trust.ParseFile(file)
	if err != nil {
		return nil, fmt.Errorf("store: admission of %s: %w", space, err)
	}
	return h, nil
}

// audit writes the line of an operation: who asked for what, and how it ended.
func (s *Server) audit(ctx context.Context, c feedhttp.Caller, operation, thing string, err error, more ...any) {
	args := append([]any{"operation", operation, "thing", thing, "caller", c.String(), "credential", c.Credential, "address", c.Address, "request", c.Request}, more...)
	if err != nil {
		s.config.Audit.LogAttrs(ctx, slog.LevelWarn, "refused", toAttrs(append(args, "error", err.Error()))...)
		return
	}
	s.config.Audit.LogAttrs(ctx, slog.LevelInfo, "done", toAttrs(args)...)
}

func toAttrs(args []any) []slog.Attr {
	out := make([]slog.Attr, 0, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		key, _ := args[i].(string)
		out = append(out, slog.Any(key, args[i+1]))
	}
	return out
}

// AdmitSelf admits the operator's own Space, for commands that work on a store
// without a server.
func (s *Server) AdmitSelf(ctx context.Context, h *trust.History) error {
	if have, err := s.admitted(ctx, h.Space()); err == nil && have.Lineage() == h.Lineage() {
		return nil
	}
	_, err := s.Admit(ctx, Operator, trust.FormatFile(h))
	return err
}
