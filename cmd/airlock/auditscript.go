package main

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"airlock/receipts"
	"airlock/signing"
	"airlock/storage"
)

//go:embed text/check.sh
var checkScript string

//go:embed text/evidence.txt
var evidenceText string

var (
	checkTemplate    = template.Must(template.New("check.sh").Parse(checkScript))
	evidenceTemplate = template.Must(template.New("README.txt").Parse(evidenceText))
)

// script writes README.txt, SHA256SUMS, and check.sh, which knows the digest of
// SHA256SUMS: there is no file of which a byte can change unnoticed but check.sh
// itself, which it returns.
func (e *evidence) script(report *receipts.Report) ([]byte, error) {
	about := map[string]any{"Space": report.Feed.Space.String(), "File": spaceFile(report.Feed.Space), "Origin": e.back.state.Checkpoint().Origin, "Receipts": len(report.Receipts), "Made": signing.FormatTime(report.Made)}
	var text, script bytes.Buffer
	if err := evidenceTemplate.Execute(&text, about); err != nil {
		return nil, err
	}
	if err := e.write("README.txt", text.Bytes()); err != nil {
		return nil, err
	}
	var sums []string
	for name, sum := range e.sums {
		sums = append(sums, hex.EncodeToString(sum[:])+"  "+name+"\n")
	}
	slices.SortFunc(sums, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	list := []byte(strings.Join(sums, ""))
	if err := os.WriteFile(filepath.Join(e.dir, "SHA256SUMS"), list, 0o644); err != nil {
		return nil, err
	}
	var lineages strings.Builder
	for _, h := range e.spaces() {
		fmt.Fprintf(&lineages, "%s  identities/%s.1.json\n", storage.Digest(h.Lineage()).Hex(), spaceFile(h.Space()))
	}
	about["Sums"], about["Files"], about["Lineages"] = storage.DigestOf(list).Hex(), len(sums), strings.TrimSpace(lineages.String())
	if err := checkTemplate.Execute(&script, about); err != nil {
		return nil, err
	}
	return script.Bytes(), os.WriteFile(filepath.Join(e.dir, "check.sh"), script.Bytes(), 0o755)
}
