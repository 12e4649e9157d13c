package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"airlock/feed/feedhttp"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Enrolment is kept in three files, each written once: the invitation, the request
// of the one Space that used it, and what the administrator decided. So of two
// who show one code at the same time, to whichever servers, one has it.
const (
	enrolmentPrefix = "enrolment/"
	invitationFile  = "/invitation"
	requestFile     = "/request"
	decisionFile    = "/decision"
)

func enrolmentKey(id storage.Digest, file string) string { return enrolmentPrefix + id.Hex() + file }

// Invite is what an administrator says of an invitation.
type Invite struct {
	Space trust.Space // the zero value for whoever has the code
	Group string      // that the Space will be of, empty for none
	Until time.Time
	Pin   storage.Digest // thumbprint of the TLS key that the servers show
}

// Invite makes an invitation. Its text is nowhere but in what is returned.
// Administrators may.
func (s *Server) Invite(ctx context.Context, c feedhttp.Caller, in Invite) (trust.Invitation, error) {
	code := trust.NewInvitation(in.Pin)
	doc := invitation{Expires: signing.FormatTime(in.Until), Format: invitationFormat, Group: in.Group, Pin: in.Pin}
	if in.Space != (trust.Space{}) {
		doc.Space = in.Space.String()
	}
	err := s.invite(ctx, c, code, &doc)
	s.audit(ctx, c, "invite", code.String(), err, "space", doc.Space, "group", doc.Group)
	if err != nil {
		return trust.Invitation{}, err
	}
	return code, nil
}

func (s *Server) invite(ctx context.Context, c feedhttp.Caller, code trust.Invitation, doc *invitation) error {
	if err := mayAdminister(c); err != nil {
		return err
	}
	if err := trust.CheckLabel(doc.Group); doc.Group != "" && err != nil {
		return &feedhttp.RequestError{Why: fmt.Sprintf("group: %s", err)}
	}
	return s.write(ctx, enrolmentKey(code.ID(), invitationFile), doc)
}

// Enrol takes the request of a Space that was invited; see feedhttp.Enroller.
func (s *Server) Enrol(ctx context.Context, c feedhttp.Caller, r feedhttp.JoinRequest) (feedhttp.Admission, error) {
	code, err := trust.ParseInvitation(r.Invitation)
	if err != nil {
		return feedhttp.Admission{}, &feedhttp.RequestError{Why: err.Error()}
	}
	h, state, err := s.join(ctx, c, code, r)
	if err != nil {
		s.audit(ctx, c, "join", code.String(), err)
		return feedhttp.Admission{}, err
	}
	return feedhttp.Admission{Lineage: h.Lineage(), Space: h.Space().String(), State: state}, nil
}

func (s *Server) join(ctx context.Context, c feedhttp.Caller, code trust.Invitation, r feedhttp.JoinRequest) (*trust.History, string, error) {
	// First the code: nothing is parsed for who has none.
	e, err := s.enrolment(ctx, code.ID())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", refuseCode(code.ID(), "nobody was invited here with this code")
	}
	if err != nil {
		return nil, "", err
	}
	h, proof, err := parseRequest(r)
	if err != nil {
		return nil, "", err
	}
	now := s.config.Now()
	if err := e.mayUse(h, now); err != nil {
		return nil, "", err
	}
	key, err := s.LogKey(ctx)
	if err != nil {
		return nil, "", err
	}
	want := trust.NewEnrolment(h, code, key, now)
	want.Pin = e.Invite.Pin
	if err := trust.CheckEnrolment(proof, h, want, now); err != nil {
		return nil, "", err
	}
	if err := s.checkName(ctx, h); err != nil {
		return nil, "", err
	}
	if e.History != nil {
		return h, e.State(), nil
	}
	doc := request{Address: c.Address, Format: requestFormat, Identity: r.Identity, Proof: r.Proof, Time: signing.FormatTime(now)}
	err = s.write(ctx, enrolmentKey(code.ID(), requestFile), &doc)
	if errors.Is(err, storage.ErrExists) {
		return s.join(ctx, c, code, r) // somebody was faster: see who
	}
	if err != nil {
		return nil, "", err
	}
	s.audit(ctx, c, "join", code.String(), nil, "space", h.Space().String(), "lineage", h.Lineage().String())
	return h, feedhttp.Pending, nil
}

// parseRequest reads what a Space sends along with the code.
func parseRequest(r feedhttp.JoinRequest) (*trust.History, signing.Attestation, error) {
	h, err := trust.ParseFile(r.Identity)
	if err != nil {
		return nil, signing.Attestation{}, &feedhttp.RequestError{Why: err.Error()}
	}
	proof, err := signing.ParseAttestation(r.Proof)
	if err != nil {
		return nil, proof, &feedhttp.RequestError{Why: "proof: " + err.Error()}
	}
	return h, proof, nil
}

// mayUse refuses who may not use an invitation, or may no more.
func (e *Enrolment) mayUse(h *trust.History, now time.Time) error {
	switch {
	case e.History != nil && e.History.Lineage() != h.Lineage():
		return refuseCode(e.ID, "was used already, by another Space")
	case e.Decided && !e.Confirmed:
		return refuseCode(e.ID, "the administrator rejected the request")
	case e.History == nil && now.After(e.Invite.Until):
		return refuseCode(e.ID, "ended on %s", signing.FormatTime(e.Invite.Until))
	case e.Invite.Space != (trust.Space{}) && e.Invite.Space != h.Space():
		return refuseCode(e.ID, "is for %s, not for %s", e.Invite.Space, h.Space())
	}
	return nil
}

// refuseCode is about an invitation that does not count.
func refuseCode(id storage.Digest, format string, args ...any) error {
	return &trust.DeniedError{Reason: trust.Untrusted, Rule: trust.RuleInvitation, Thing: trust.InvitationName(id), Why: fmt.Sprintf(format, args...)}
}

// Enrolment is an invitation, and what became of it.
type Enrolment struct {
	ID     storage.Digest
	Invite Invite
	// Of the request; History is nil where there was none yet.
	History *trust.History
	Address string // who asked
	Asked   time.Time

	Decided, Confirmed bool
}

// State says in a word how things stand.
func (e *Enrolment) State() string {
	switch {
	case e.Confirmed:
		return feedhttp.Admitted
	case e.Decided:
		return "rejected"
	case e.History != nil:
		return feedhttp.Pending
	}
	return "open"
}

// enrolment reads what is kept about an invitation; fs.ErrNotExist where there is
// none.
func (s *Server) enrolment(ctx context.Context, id storage.Digest) (*Enrolment, error) {
	e := &Enrolment{ID: id}
	for _, file := range []string{invitationFile, requestFile, decisionFile} {
		key := enrolmentKey(id, file)
		b, err := s.config.Store.Files.Get(ctx, key)
		if errors.Is(err, fs.ErrNotExist) && file != invitationFile {
			return e, nil // the later ones are not there either
		}
		if err == nil {
			err = e.read(file, b)
		}
		if err != nil {
			return nil, fmt.Errorf("store: %s: %w", key, err)
		}
	}
	return e, nil
}

// Enrolments returns the invitations that wait for a request or a decision.
// Administrators may.
func (s *Server) Enrolments(ctx context.Context, c feedhttp.Caller) ([]*Enrolment, error) {
	if err := mayAdminister(c); err != nil {
		return nil, err
	}
	decided, ids := map[string]bool{}, []string{}
	for key, err := range s.config.Store.Files.List(ctx, enrolmentPrefix, "") {
		if err != nil {
			return nil, err
		}
		id, file, _ := strings.Cut(strings.TrimPrefix(key, enrolmentPrefix), "/")
		switch "/" + file {
		case invitationFile:
			ids = append(ids, id)
		case decisionFile:
			decided[id] = true
		}
	}
	var out []*Enrolment
	for _, hex := range ids {
		if decided[hex] {
			continue
		}
		id, err := storage.ParseHex(hex)
		if err != nil {
			return nil, fmt.Errorf("store: %s%s: %w", enrolmentPrefix, hex, err)
		}
		e, err := s.enrolment(ctx, id)
		if err != nil {
			return nil, err
		}
		if e.History != nil || !s.config.Now().After(e.Invite.Until) {
			out = append(out, e)
		}
	}
	return out, nil
}

// Decide admits the Space that asked with an invitation, or rejects it, for good.
// Deciding the same again carries out what was cut off. Administrators may.
func (s *Server) Decide(ctx context.Context, c feedhttp.Caller, id storage.Digest, confirm bool) error {
	e, err := s.decide(ctx, c, id, confirm)
	operation, thing, lineage := "reject", trust.InvitationName(id), ""
	if confirm {
		operation = "confirm"
	}
	if e != nil && e.History != nil {
		thing, lineage = e.History.Space().String(), e.History.Lineage().String()
	}
	s.audit(ctx, c, operation, thing, err, "lineage", lineage, "invitation", id.Hex()[:8])
	if err != nil || !confirm {
		return err
	}
	if _, err := s.Admit(ctx, c, trust.FormatFile(e.History)); err != nil || e.Invite.Group == "" {
		return err
	}
	return s.SetGroup(ctx, c, e.Invite.Group, e.History.Space(), true)
}

// decide writes a decision down, and returns what it is about as far as it was
// found.
func (s *Server) decide(ctx context.Context, c feedhttp.Caller, id storage.Digest, confirm bool) (*Enrolment, error) {
	if err := mayAdminister(c); err != nil {
		return nil, err
	}
	e, err := s.enrolment(ctx, id)
	if err != nil {
		return nil, err
	}
	if e.History == nil {
		return e, refuseCode(id, "nobody has asked with it")
	}
	if confirm {
		if err := s.checkName(ctx, e.History); err != nil { // admitted since it asked
			return e, err
		}
	}
	doc := decision{Confirmed: confirm, Format: decisionFormat, Time: signing.FormatTime(s.config.Now())}
	err = s.write(ctx, enrolmentKey(id, decisionFile), &doc)
	if errors.Is(err, storage.ErrExists) {
		var decided *Enrolment
		if decided, err = s.enrolment(ctx, id); err == nil && decided.Confirmed != confirm {
			err = refuseCode(id, "was decided already: %s", decided.State())
		}
	}
	return e, err
}
