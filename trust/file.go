package trust

import (
	"bytes"
	"errors"
	"fmt"

	"airlock/signing"
)

// An identity file carries a History: what a Space hands to whoever shall
// trust it. It is lines of text:
//
//	airlock identity 1
//	<identity version 1, canonical JSON>
//	<statement that puts it in force, stored form>
//	<identity version 2>
//	<statement by root 1>
//	<statement by root 2, where the root changed>
//	…
//
// each ended by a line feed; testdata/dev-qa.id is one. So the lineage can be computed without Airlock:
//
//	sed -n 2p dev-qa.id | tr -d '\n' | sha256sum
const fileHeader = "airlock identity 1"

// MaxFile bounds an identity file, in bytes.
const MaxFile = 8 << 20

// FormatFile returns the identity file of h.
func FormatFile(h *History) []byte {
	var out bytes.Buffer
	out.WriteString(fileHeader + "\n")
	for _, v := range h.versions {
		out.Write(v.Identity.Raw())
		out.WriteByte('\n')
		for _, a := range v.Statements {
			out.Write(a.Bytes())
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// ParseFile reads an identity file and checks the whole history.
func ParseFile(b []byte) (*History, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("identity file: %d bytes, at most %d are allowed", len(b), MaxFile)
	}
	rest, ok := bytes.CutPrefix(b, []byte(fileHeader+"\n"))
	if !ok {
		return nil, fmt.Errorf("identity file: does not begin with the line %q", fileHeader)
	}
	versions, err := parseVersions(rest)
	if err != nil {
		return nil, err
	}
	h, err := Begin(versions[0])
	if err != nil {
		return nil, fmt.Errorf("identity file: %w", err)
	}
	for _, v := range versions[1:] {
		if err := h.Extend(v); err != nil {
			return nil, fmt.Errorf("identity file: %w", err)
		}
	}
	if !bytes.Equal(FormatFile(h), b) {
		return nil, errors.New("identity file: statements out of order or more than are needed")
	}
	return h, nil
}

// parseVersions groups lines: a document, then its statements.
func parseVersions(b []byte) ([]Version, error) {
	var versions []Version
	for n := 2; len(b) > 0; n++ {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if b = rest; !ok {
			return nil, fmt.Errorf("identity file: line %d: no line feed at the end, the file may be cut off", n)
		}
		if bytes.HasPrefix(line, []byte(`{"apiVersion"`)) {
			id, err := ParseIdentity(line)
			if err != nil {
				return nil, fmt.Errorf("identity file: line %d: %w", n, err)
			}
			versions = append(versions, Version{Identity: id})
			continue
		}
		a, err := signing.ParseAttestation(line)
		if err != nil {
			return nil, fmt.Errorf("identity file: line %d: %w", n, err)
		}
		if len(versions) == 0 {
			return nil, fmt.Errorf("identity file: line %d: a statement before the first identity", n)
		}
		v := &versions[len(versions)-1]
		if len(v.Statements) == 2 {
			return nil, fmt.Errorf("identity file: line %d: a third statement about one version", n)
		}
		v.Statements = append(v.Statements, a)
	}
	if len(versions) == 0 {
		return nil, errors.New("identity file: holds no identity")
	}
	return versions, nil
}
