package feedhttp

import (
	"encoding/json"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"airlock/feed"
	"airlock/storage"
)

// jsonMediaType is the media type of requests and answers without one of their own.
const jsonMediaType = "application/json"

// infoPath is where a server says what it is.
const infoPath = "/v1/"

// apiVersion is what Info.API says; another one is another interface.
const apiVersion = "v1"

// Info is what a server says of itself.
type Info struct {
	API     string `json:"api"`
	LogKey  []byte `json:"logKey"` // Ed25519 public key, 32 bytes
	Name    string `json:"name"`   // "airlock"
	Version string `json:"version"`
}

// feedList is the answer to GET /v1/feeds.
type feedList struct {
	Feeds []feed.ID `json:"feeds"`
}

// missingList is the answer to POST {F}/uploads.
type missingList struct {
	Missing []storage.Ref `json:"missing"`
}

// acceptedDocument is feed.Accepted in JSON. Hashes are base64.
type acceptedDocument struct {
	Added      int       `json:"added"`
	After      [][]byte  `json:"after,omitempty"`
	Before     *edgeSize `json:"before,omitempty"`
	Checkpoint string    `json:"checkpoint"` // the signed note
	Epoch      uint64    `json:"epoch"`
	Indices    []int64   `json:"indices"`
}

type edgeSize struct {
	Hashes [][]byte `json:"hashes"`
	Size   int64    `json:"size"`
}

func newAcceptedDocument(a feed.Accepted, statements int) acceptedDocument {
	d := acceptedDocument{Added: a.Added, Checkpoint: string(a.Checkpoint.Note), Epoch: a.Epoch, Indices: a.Indices, After: hashBytes(a.After)}
	if a.Added == statements {
		d.Before = &edgeSize{Hashes: hashBytes(a.Before.Hashes()), Size: a.Before.Size()}
	}
	return d
}

// parseAccepted reads the answer to a batch of that many statements.
func parseAccepted(body []byte, statements int) (feed.Accepted, error) {
	var d acceptedDocument
	if err := json.Unmarshal(body, &d); err != nil {
		return feed.Accepted{}, fmt.Errorf("answer: %w", err)
	}
	if len(d.Indices) != statements || d.Added < 0 || d.Added > statements {
		return feed.Accepted{}, fmt.Errorf("answer: %d indices and %d new entries for %d statements", len(d.Indices), d.Added, statements)
	}
	c, err := feed.ParseCheckpoint([]byte(d.Checkpoint))
	if err != nil {
		return feed.Accepted{}, fmt.Errorf("answer: %w", err)
	}
	a := feed.Accepted{Indices: d.Indices, Added: d.Added, Checkpoint: c, Epoch: d.Epoch}
	if a.After, err = parseHashes(d.After); err != nil || d.Before == nil {
		return a, err
	}
	hashes, err := parseHashes(d.Before.Hashes)
	if err == nil {
		a.Before, err = feed.ParseEdge(d.Before.Size, hashes)
	}
	return a, err
}

func hashBytes(hashes []tlog.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

func parseHashes(in [][]byte) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(in))
	for i, b := range in {
		if len(b) != tlog.HashSize {
			return nil, fmt.Errorf("answer: hash of %d bytes, want %d", len(b), tlog.HashSize)
		}
		out[i] = tlog.Hash(b)
	}
	return out, nil
}
