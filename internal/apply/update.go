package apply

import (
	"context"
	"fmt"
	"strconv"

	"airlock/feed"
	"airlock/signing"
	"airlock/storage"
)

// update is what a program is told. Its members are those of the environment,
// see Exec, in canonical JSON; what is empty is left out.
type update struct {
	Dir       string      `json:"dir,omitempty"`
	Feed      string      `json:"feed"`
	Fence     int64       `json:"fence,omitempty"`
	File      string      `json:"file,omitempty"`
	Files     []updateDoc `json:"files,omitempty"`
	From      string      `json:"from,omitempty"`
	ID        string      `json:"id"`
	Index     int64       `json:"index"`
	Kind      string      `json:"kind"`
	Manifest  string      `json:"manifest,omitempty"`
	Name      string      `json:"name"`
	Op        Op          `json:"op"`
	Statement string      `json:"statement"`
	Version   string      `json:"version"`
}

// updateDoc is a file of the package; Path is its place in Dir.
type updateDoc struct {
	Digest    string `json:"digest"`
	MediaType string `json:"mediaType"`
	Path      string `json:"path"`
	Size      int64  `json:"size"`
}

func (u *updater) update(a Action) *update {
	job := &update{
		Feed: u.id.String(), From: a.From, Index: a.Row.Index, Kind: a.Ref.Kind, Manifest: a.Row.Manifest.String(),
		Name: a.Ref.Name, Op: a.Op, Statement: a.Row.ID.String(), Version: a.Ref.Version,
	}
	if a.Op == Remove { // the row may be one that does not count and says nothing
		job.Manifest = u.record.items[nameOf(a.Ref)].Manifest.String()
	}
	job.ID = u.updateID(a)
	return job
}

// updateID names an update: what it does, from which version, for which reason.
func (u *updater) updateID(a Action) string {
	text := fmt.Sprintf("airlock-update 1\n%s\n%s\n%s\n%s\n%s\n", u.record.doc.Lineage, u.id, a.Op, a.Row.ID, a.From)
	return storage.DigestOf([]byte(text)).Hex()[:32]
}

// locate says where the files of the package are.
func (j *update) locate(folder string, layers []feed.Layer) {
	j.Dir, j.File = folder, firstFile(folder, layers)
	for _, l := range layers {
		j.Files = append(j.Files, updateDoc{Digest: l.Digest.String(), MediaType: l.MediaType, Path: l.Path, Size: l.Size})
	}
}

// vars returns what the program finds in its environment.
func (j *update) vars() [][2]string {
	fence := ""
	if j.Fence > 0 {
		fence = strconv.FormatInt(j.Fence, 10)
	}
	return [][2]string{
		{"ID", j.ID}, {"FENCE", fence}, {"OP", string(j.Op)}, {"FEED", j.Feed}, {"KIND", j.Kind}, {"NAME", j.Name}, {"VERSION", j.Version}, {"FROM", j.From},
		{"INDEX", strconv.FormatInt(j.Index, 10)}, {"STATEMENT", j.Statement}, {"MANIFEST", j.Manifest}, {"DIR", j.Dir}, {"FILE", j.File},
	}
}

// line returns the update as one line of JSON.
func (j *update) line() ([]byte, error) {
	b, err := signing.MarshalCanonical(j)
	return append(b, '\n'), err
}

// ProgramError reports a program that did not take an update.
type ProgramError struct {
	Ref  feed.Ref
	Op   Op
	Why  string // "exit status 3", "took longer than 1m0s"
	Last string // the last line that it wrote, if any
}

func (e *ProgramError) Error() string {
	return fmt.Sprintf("%s %s: the program's %s", e.Op, e.Ref, saidWhy(e.Why, e.Last))
}

// hand runs the program for an update and returns what it wrote. A program
// that cannot be started is any error, one that does not take the update a
// *ProgramError.
func (u *updater) hand(ctx context.Context, job *update) (string, error) {
	line, err := job.line()
	if err != nil {
		return "", err
	}
	r, err := u.Program.run(ctx, "AIRLOCK_UPDATE_", job.vars(), line)
	if err == nil && r.why != "" {
		err = &ProgramError{Ref: feed.Ref{Kind: job.Kind, Name: job.Name, Version: job.Version}, Op: job.Op, Why: r.why, Last: r.complaint}
	}
	return r.output, err
}
