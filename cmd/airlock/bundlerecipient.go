package main

import (
	"fmt"
	"time"

	"airlock/signing"
	"airlock/trust"
)

// recipient looks up to which key the contents are encrypted. p is the policy about
// the receiver, nil where that is this Space.
func (m *maker) recipient(p *trust.Policy) error {
	o := m.options
	if o.encryptTo == "" {
		return nil
	}
	if o.encryptTo != o.to {
		return usage("--encrypt-to %.150q: the bundle is for %s, who could not open it", "say --encrypt-to "+o.to, o.encryptTo, o.to)
	}
	id := m.to.Current()
	if id.Encryption == "" {
		return &failure{code: exitFailed, what: fmt.Sprintf("%s: version %d of its identity, the newest known here, lists no encryption key", o.to, id.Version),
			hint: "have its people run airlock identity renew; then pull a feed of theirs, or: airlock trust add FILE with their new identity file"}
	}
	m.bundle.EncryptTo, m.keyVersion = id.Encryption, id.Version
	m.quietFor = quietFor
	if p != nil && p.MaxAge > 0 {
		m.quietFor = time.Duration(p.MaxAge)
	}
	return nil
}

// quietFor is how long the receiver's key passes for its newest without a word of
// the receiver, where the policy about it sets no maxAge.
const quietFor = 90 * 24 * time.Hour

// age says since when the receiver's key is known to be its newest: since its last
// certificate was made, or what it holds was signed, by its own clock. Where that
// is long ago it may have another key by now: then it could not open the bundle,
// and who has the old key could.
func (m *maker) age() {
	if m.keyVersion == 0 {
		return
	}
	m.keyAsOf = m.to.Current().RootCertificate().NotBefore
	var ends time.Time
	for _, l := range m.to.Current().Leaves {
		cert := l.X509()
		m.keyAsOf, ends = latest(m.keyAsOf, cert.NotBefore), latest(ends, cert.NotAfter)
	}
	if m.base != nil {
		if said, err := signing.ParseTime(m.base.Time); err == nil {
			m.keyAsOf = latest(m.keyAsOf, said)
		}
	}
	switch {
	case m.now().After(ends) && !ends.IsZero():
		m.keyProblem = "its certificates ended on " + ends.UTC().Format(time.DateOnly)
	case m.now().Sub(m.keyAsOf) > m.quietFor:
		m.keyProblem = "nothing was heard of it since " + m.keyAsOf.UTC().Format(time.DateOnly)
	default:
		return
	}
	m.note("airlock: warning: %s may have replaced the encryption key that version %d of its identity lists: %s; pull a feed of it first, or ask its people",
		m.bundle.Audience.Space, m.keyVersion, m.keyProblem)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
