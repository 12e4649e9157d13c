package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// Holdings is the predicate of a Space's sign of life: at Time it was there,
// and held what the document says. The subject is the document, an Account.
//
// Followers go by the time alone, which the signature covers: it is the only
// age of a feed. So whoever runs for the Space says it again and again, in each
// of its feeds, for a reader of one sees nothing of the others.
type Holdings struct {
	Critical     bool          `json:"critical,omitempty"`
	DocumentSize int64         `json:"documentSize"` // bytes
	Epoch        uint64        `json:"epoch"`
	Feed         ID            `json:"feed"`
	Lineage      trust.Lineage `json:"lineage"`
	// Snapshot is for newcomers to the feed; absent while it has no full page.
	Snapshot *Snapshot `json:"snapshot,omitempty"`
	Time     string    `json:"time"` // RFC 3339, UTC, whole seconds
}

// Statement returns the statement about the document.
func (h Holdings) Statement(document storage.Digest) (signing.Statement, error) {
	return statement(signing.Holdings, document, h.subject(), h)
}

func (h Holdings) subject() string { return h.Feed.Space.URI() + " holdings of " + h.Time }

// When returns the time. It parses, for ParseHoldings saw to it.
func (h Holdings) When() time.Time {
	t, _ := signing.ParseTime(h.Time)
	return t
}

// pages returns what the snapshot names.
func (h Holdings) pages() (out []storage.Ref) {
	if h.Snapshot != nil {
		for _, p := range h.Snapshot.Pages {
			out = append(out, storage.Ref{Digest: p.Digest, Size: p.Size})
		}
	}
	return out
}

// ParseHoldings reads the predicate of a verified holdings statement.
func ParseHoldings(st signing.Statement) (Holdings, error) {
	var h Holdings
	if st.Kind != signing.Holdings {
		return h, fmt.Errorf("is a statement of kind %s, not %s", st.Kind, signing.Holdings)
	}
	if err := signing.UnmarshalCanonical(st.Predicate, &h); err != nil {
		return h, err
	}
	if _, err := signing.ParseTime(h.Time); err != nil {
		return h, fmt.Errorf("holdings: time: %w", err)
	}
	if h.DocumentSize < 1 || h.DocumentSize > MaxAccount {
		return h, fmt.Errorf("holdings: document of %d bytes, want 1 to %d", h.DocumentSize, int64(MaxAccount))
	}
	if h.Snapshot != nil {
		if err := h.Snapshot.check(); err != nil {
			return h, fmt.Errorf("holdings: %w", err)
		}
	}
	if st.SubjectName != h.subject() {
		return h, fmt.Errorf("holdings: subject name is %.200q, not %q", st.SubjectName, h.subject())
	}
	return h, nil
}

// OpenHoldings verifies holdings that came as files, outside of a feed: by what
// is known of the Space now. document is the subject's bytes, checked
// against it here.
func OpenHoldings(of *trust.History, att signing.Attestation, document []byte) (*Account, trust.Verified, error) {
	v, _, err := of.VerifyApart(att, trust.Want{Kind: signing.Holdings, Subject: storage.DigestOf(document)})
	if err != nil {
		return nil, v, err
	}
	a, err := accountOf(v.Statement(), document)
	return a, v, err
}

// ReadAccount fetches the document of verified holdings from a source.
func ReadAccount(ctx context.Context, src Source, id ID, v trust.Verified) (*Account, error) {
	h, err := ParseHoldings(v.Statement())
	if err != nil {
		return nil, err
	}
	raw, err := ReadObject(ctx, src, id, v.Statement().Subject, h.DocumentSize)
	if err != nil {
		return nil, fmt.Errorf("feed %s: holdings: %w", id, err)
	}
	return accountOf(v.Statement(), raw)
}

// accountOf parses the document of a statement: it must be of the same Space
// and time.
func accountOf(st signing.Statement, document []byte) (*Account, error) {
	h, err := ParseHoldings(st)
	if err != nil {
		return nil, err
	}
	a, err := ParseAccount(document)
	if err != nil {
		return nil, err
	}
	if a.Lineage != h.Lineage || a.Space != h.Feed.Space.String() || a.Time != h.Time {
		return nil, fmt.Errorf("holdings: %w: the document is of %s, lineage %s, at %s; the statement of %s, lineage %s, at %s",
			errOtherDocument, a.Space, a.Lineage, a.Time, h.Feed.Space, h.Lineage, h.Time)
	}
	return a, nil
}

var errOtherDocument = errors.New("the document is not the statement's")
