package feed

import (
	"fmt"
	"strings"

	"airlock/trust"
)

// ID names a feed: "<organisation>/<space>/<feed>", three DNS labels. Only its
// Space can add to it.
type ID struct {
	Space trust.Space
	Name  string
}

// ReceiptsName is the name of the feed in which a Space gives back receipts.
const ReceiptsName = "receipts"

// NamesPeople reports whether the feed says who did what: such a feed is for
// nobody without a credential.
func (id ID) NamesPeople() bool { return id.Name == ReceiptsName }

// ParseID reads "<organisation>/<space>/<feed>".
func ParseID(s string) (ID, error) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return ID{}, fmt.Errorf("feed %.200q: want <organisation>/<space>/<feed>", s)
	}
	space, err := trust.ParseSpace(s[:i])
	if err != nil || strings.Contains(s, "://") {
		return ID{}, fmt.Errorf("feed %.200q: want <organisation>/<space>/<feed>", s)
	}
	if err := trust.CheckLabel(s[i+1:]); err != nil {
		return ID{}, fmt.Errorf("feed %.200q: %w", s, err)
	}
	return ID{space, s[i+1:]}, nil
}

// String returns "<organisation>/<space>/<feed>".
func (id ID) String() string { return id.Space.String() + "/" + id.Name }

// Origin is the feed's name as a transparency log (C2SP tlog-checkpoint). It
// never names a server, so mirrors keep it.
func (id ID) Origin(epoch uint64) string {
	return fmt.Sprintf("e%d.%s.%s.%s.airlock.example", epoch, id.Name, id.Space.Name, id.Space.Organisation)
}

// MarshalText writes the form of String.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what ParseID does.
func (id *ID) UnmarshalText(b []byte) error {
	parsed, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
