package server

import (
	"context"
	"errors"
	"fmt"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// The files of an enrolment are canonical JSON; testdata/ has one of each.

// invitation is what is kept of an invitation, at most 4 KiB. The code itself is
// kept nowhere.
type invitation struct {
	Expires string         `json:"expires"` // RFC 3339, UTC
	Format  string         `json:"format"`  // invitationFormat
	Group   string         `json:"group,omitempty"`
	Pin     storage.Digest `json:"pin"`
	Space   string         `json:"space,omitempty"` // "<organisation>/<space>"
}

// request is what the Space sent that used an invitation, at most 1 MiB and 4 KiB.
type request struct {
	Address  string `json:"address"`
	Format   string `json:"format"`   // requestFormat
	Identity []byte `json:"identity"` // its identity file
	Proof    []byte `json:"proof"`    // as it came
	Time     string `json:"time"`     // RFC 3339, UTC
}

// decision is what the administrator said, at most 4 KiB.
type decision struct {
	Confirmed bool   `json:"confirmed"`
	Format    string `json:"format"` // decisionFormat
	Time      string `json:"time"`   // RFC 3339, UTC
}

const (
	invitationFormat = "airlock-invitation 1"
	requestFormat    = "airlock-enrolment 1"
	decisionFormat   = "airlock-decision 1"

	maxSmall   = 4 << 10
	maxRequest = 1<<20 + 4<<10 // what feedhttp takes, and what stands around it
)

// write creates a file of an enrolment; storage.ErrExists where there is another.
func (s *Server) write(ctx context.Context, key string, doc any) error {
	b, err := signing.MarshalCanonical(doc)
	if err != nil {
		return err
	}
	return s.config.Store.Files.Create(ctx, key, b)
}

// read takes in one of the files of an enrolment.
func (e *Enrolment) read(file string, b []byte) error {
	switch file {
	case requestFile:
		return e.readRequest(b)
	case decisionFile:
		var doc decision
		err := parseDocument(b, maxSmall, &doc, &doc.Format, decisionFormat)
		if err == nil {
			_, err = signing.ParseTime(doc.Time)
		}
		e.Decided, e.Confirmed = true, doc.Confirmed
		return err
	}
	return e.readInvitation(b)
}

func (e *Enrolment) readInvitation(b []byte) (err error) {
	var doc invitation
	if err := parseDocument(b, maxSmall, &doc, &doc.Format, invitationFormat); err != nil {
		return err
	}
	e.Invite = Invite{Group: doc.Group, Pin: doc.Pin}
	if doc.Space != "" {
		if e.Invite.Space, err = trust.ParseSpace(doc.Space); err != nil {
			return err
		}
	}
	if e.Invite.Until, err = signing.ParseTime(doc.Expires); err != nil || doc.Pin.IsZero() {
		return errors.Join(err, fmt.Errorf("expires %.40q, pin %s: want a time and a thumbprint", doc.Expires, doc.Pin))
	}
	return nil
}

func (e *Enrolment) readRequest(b []byte) (err error) {
	var doc request
	if err := parseDocument(b, maxRequest, &doc, &doc.Format, requestFormat); err != nil {
		return err
	}
	e.Address = doc.Address
	if e.Asked, err = signing.ParseTime(doc.Time); err != nil {
		return err
	}
	e.History, err = trust.ParseFile(doc.Identity)
	return err
}

// parseDocument reads canonical JSON of at most limit bytes whose member format
// says want.
func parseDocument(b []byte, limit int, doc any, format *string, want string) error {
	if len(b) > limit {
		return fmt.Errorf("%d bytes, at most %d are allowed", len(b), limit)
	}
	if err := signing.UnmarshalCanonical(b, doc); err != nil {
		return err
	}
	if *format != want {
		return fmt.Errorf("format %.60q, want %q", *format, want)
	}
	return nil
}
