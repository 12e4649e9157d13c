package feed

import (
	"io"
	"io/fs"

	"airlock/signing"
	"airlock/trust"
)

// HoldingsFiles returns the names of the two files that the holdings of a Space
// travel in: the document, and the attestation about it in its stored form. So
// cosign verify-blob-attestation can check them as they are.
func HoldingsFiles(space trust.Space) (document, attestation string) {
	name := space.Organisation + "." + space.Name + ".holdings"
	return name + ".json", name + ".sigstore.json"
}

// ReadHoldings reads the two files from a folder; fs.ErrNotExist where it has
// none of that Space. Nothing of them is verified: OpenHoldings does that.
func ReadHoldings(dir fs.FS, space trust.Space) (att signing.Attestation, document []byte, err error) {
	name, about := HoldingsFiles(space)
	raw, err := readFile(dir, about, signing.MaxAttestation)
	if err != nil {
		return att, nil, err
	}
	if att, err = signing.ParseAttestation(raw); err != nil {
		return att, nil, malformed("%s: %w", about, err)
	}
	document, err = readFile(dir, name, MaxAccount)
	return att, document, err
}

func readFile(dir fs.FS, name string, limit int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = malformed("%s: more than %d bytes", name, limit)
	}
	return b, err
}
