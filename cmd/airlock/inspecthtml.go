package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"regexp"
	"time"

	"airlock/signing"
)

// inspectPage is the report as one file. Everything that a bundle says is
// hostile until it is escaped: html/template does that by context, and the page's
// own policy lets a browser load and run nothing, its one style sheet aside.
//
//go:embed inspect.html
var inspectPage string

// styleSheet finds the page's style sheet, which the policy names by its digest.
var styleSheet = regexp.MustCompile(`(?s)<style>(.*?)</style>`)

func pagePolicy(page string) string {
	sum := sha256.Sum256([]byte(styleSheet.FindStringSubmatch(page)[1]))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

// html writes the report; now is when it was made.
func (d inspectDoc) html(now time.Time) ([]byte, error) {
	t, err := template.New("inspect.html").Funcs(template.FuncMap{
		"policy": func() string { return pagePolicy(inspectPage) },
		"made":   func() string { return signing.FormatTime(now) },
		"age":    func(text string) string { return ago(text, now) },
		"size":   size,
		"mark":   func(op string) string { return itemMarks[op] + changeMarks[op] },
		"values": changeValues,
		"name":   itemDoc.name,
		"notes":  itemDoc.notes,
	}).Parse(inspectPage)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, d)
	return out.Bytes(), err
}
