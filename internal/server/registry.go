package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// The servers of a store are found by the files servers/<id>, which are written
// once, and speak by the cells server/<id>: the registration in canonical JSON,
// signed by the log key, so that who writes to the store alone cannot send
// servers, and what they show each other, elsewhere.
//
//	airlock-server 1\n
//	{"address":"https://10.0.0.1:7070","beat":12,"id":"<32 hex>","pin":"sha256:<64 hex>","started":1764000000,"version":"0.4"}
//	signature (64 bytes): feed.LogKey.SignCell over all before
const (
	serverHeader = "airlock-server 1\n"
	serverPrefix = "servers/"
	// maxRegistration bounds a registration, in bytes.
	maxRegistration = 4 << 10
)

func serverFile(id string) string { return serverPrefix + id }
func serverCell(id string) string { return "server/" + id }

// registration is what a server says of itself to the others.
type registration struct {
	Address string         `json:"address"` // URL; empty for one that is leaving, or that others do not reach
	Beat    int64          `json:"beat"`    // grows while it runs
	ID      string         `json:"id"`
	Pin     storage.Digest `json:"pin,omitzero"` // thumbprint of the TLS key that it shows; none for one without TLS
	Started int64          `json:"started"`      // by its own clock, for people
	Version string         `json:"version"`
}

func (r registration) format(key feed.LogKey) ([]byte, error) {
	doc, err := signing.MarshalCanonical(r)
	if err != nil {
		return nil, err
	}
	out := append([]byte(serverHeader), doc...)
	return append(out, key.SignCell(out)...), nil
}

var errRegistration = errors.New("registration of a server: damaged, or by another log key")

// parseRegistration reads the cell of server id.
func parseRegistration(b []byte, id string, publicKey []byte) (r registration, err error) {
	end := len(b) - ed25519.SignatureSize
	if len(b) > maxRegistration || end < 0 || !bytes.HasPrefix(b, []byte(serverHeader)) {
		return r, &storage.FormatError{Where: "registration of a server", Got: fmt.Sprintf("%.20q", b), Want: serverHeader}
	}
	if !feed.VerifyCell(publicKey, b[:end], b[end:]) {
		return r, errRegistration
	}
	if err := signing.UnmarshalCanonical(b[len(serverHeader):end], &r); err != nil {
		return r, fmt.Errorf("%w: %w", errRegistration, err)
	}
	if r.ID != id || r.Beat < 0 {
		return r, errRegistration
	}
	return r, nil
}

// peerToken is what peers show the server id. Each has one of its own, so what one
// is shown opens no other.
func peerToken(key feed.LogKey, id string) (string, error) {
	secret, err := key.Secret("peer 1 " + id)
	return "airlock-peer_" + hex.EncodeToString(secret), err
}

// beat says that this server runs, and where.
func (p *peers) beat(ctx context.Context, address string) error {
	p.self.Address = address
	if p.pin != nil {
		p.self.Pin = p.pin()
	}
	err := p.register(ctx)
	if !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrUnclear) {
		return err
	}
	// Of an earlier run with this home, or of an answer that was lost.
	cells := p.server.config.Store.Cells
	old, tag, err := cells.Load(ctx, serverCell(p.self.ID))
	if err != nil {
		return err
	}
	if r, err := parseRegistration(old, p.self.ID, p.server.config.LogKey.Public()); err == nil {
		p.self.Beat = max(p.self.Beat, r.Beat)
	}
	p.tag = tag
	return p.register(ctx)
}

// register writes the own cell, in the place of what is known to be there.
func (p *peers) register(ctx context.Context) error {
	p.self.Beat++
	value, err := p.self.format(p.server.config.LogKey)
	if err != nil {
		return err
	}
	p.tag, err = p.server.config.Store.Cells.Swap(ctx, serverCell(p.self.ID), p.tag, value)
	return err
}

// enlist makes sure that this server is found.
func (p *peers) enlist(ctx context.Context) error {
	err := p.server.config.Store.Files.Create(ctx, serverFile(p.self.ID), []byte(serverHeader))
	if errors.Is(err, storage.ErrExists) {
		return nil
	}
	return err
}

// others reads the registrations of the other servers. What is none, or of
// another log key, is none of ours.
func (p *peers) others(ctx context.Context) (map[string]registration, error) {
	out := map[string]registration{}
	for key, err := range p.server.config.Store.Files.List(ctx, serverPrefix, "") {
		if err != nil {
			return nil, err
		}
		id := strings.TrimPrefix(key, serverPrefix)
		if id == p.self.ID {
			continue
		}
		value, _, err := p.server.config.Store.Cells.Load(ctx, serverCell(id))
		if err != nil {
			continue // it has not said anything yet, or is read at the next look
		}
		r, err := parseRegistration(value, id, p.server.config.LogKey.Public())
		if err != nil {
			p.server.config.Logger.Debug("not a server of ours", "server", id, "error", err)
			continue
		}
		out[id] = r
	}
	return out, nil
}
