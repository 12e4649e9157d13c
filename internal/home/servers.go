package home

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"airlock/signing"
	"airlock/storage"
)

// Server is a server that this home joined.
type Server struct {
	LogKey []byte         `json:"logKey"` // of its operator, 32 bytes
	Pin    storage.Digest `json:"pin"`    // thumbprint of the key that it shows
	URL    string         `json:"url"`    // as it was joined
}

// servers is the file servers.json: canonical JSON of at most 64 KiB, the server
// that was joined last at first. testdata/servers.json is one.
type servers struct {
	Format  string   `json:"format"` // serversFormat
	Servers []Server `json:"servers"`
}

const (
	serversFormat = "airlock-servers 1"
	maxServers    = 64 // that are remembered
)

// Servers returns the servers that this home joined, the last at first.
func (h *Home) Servers() ([]Server, error) {
	path := h.file("servers.json")
	b, err := ReadFile(path, 64<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := parseServers(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

func parseServers(b []byte) ([]Server, error) {
	var s servers
	if err := signing.UnmarshalCanonical(b, &s); err != nil {
		return nil, err
	}
	if s.Format != serversFormat || len(s.Servers) > maxServers {
		return nil, fmt.Errorf("format %.60q with %d servers, want %q and at most %d", s.Format, len(s.Servers), serversFormat, maxServers)
	}
	for i, one := range s.Servers {
		if len(one.LogKey) != 32 || one.Pin.IsZero() || one.URL == "" {
			return nil, fmt.Errorf("servers[%d]: want logKey of 32 bytes, pin and url", i)
		}
	}
	return s.Servers, nil
}

// Remember keeps a server in the place of what was known of its URL.
func (h *Home) Remember(s Server) error {
	list, err := h.Servers()
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(old Server) bool { return old.URL == s.URL })
	list = append([]Server{s}, list...)
	b, err := signing.MarshalCanonical(servers{serversFormat, list[:min(len(list), maxServers)]})
	if err != nil {
		return err
	}
	return storage.ReplaceFile(h.file("servers.json"), b, 0o600)
}
