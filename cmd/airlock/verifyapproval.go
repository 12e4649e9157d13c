package main

import (
	"airlock/signing"
	"airlock/trust"
)

// approval verifies an approval, and says of whom it is, for what and until when; it
// reports whether the file may be one. Whether it counts here is a note: the file is
// what its signer made of it.
func (v *verification) approval(path string, b []byte) (done bool, err error) {
	att, err := signing.ParseAttestation(b)
	if err != nil {
		return false, nil //nolint:nilerr // who says what it is is told more
	}
	p, err := trust.OpenApproval(att)
	switch {
	case deniedBy("kind")(err):
		return false, nil
	case err != nil:
		return true, badFile(path, err)
	}
	return true, v.describeApproval(p)
}

func (v *verification) describeApproval(p trust.Approved) error {
	r, err := v.reception()
	if err != nil {
		return err
	}
	d := r.describe(p)
	listed := "which no policy here lists"
	if d.Person != "" {
		listed = "which policies here list for " + d.Person
	}
	v.ok("signature", "an approval, signed by key %s, %s", d.Key, listed)
	if err := v.approves(p.Approval.Approves); err != nil {
		return err
	}
	for _, l := range v.knownAs(p.Approval.Audience) {
		v.ok("for", "%s", l)
	}
	until := v.ok
	if v.now().After(p.Expires) {
		until = v.note
	}
	until("until", "%s, made on %s", d.Expires, d.Made)
	if d.Comment != "" {
		v.note("comment", "%s", d.Comment)
	}
	if d.Problem != "" {
		v.note("counts", "not here: %s", d.Problem)
	} else {
		v.ok("counts", "here, as that of %s, but for what %s published; airlock explain PACKAGE says what is missing", d.Person, d.Person)
	}
	return nil
}

// approves names what is approved, as far as feeds that were followed here have it.
func (v *verification) approves(ids []signing.ID) error {
	feeds, err := v.followedFeeds()
	if err != nil {
		return err
	}
	for _, id := range ids {
		known := false
		for _, s := range feeds {
			var i int64
			if i, known = s.Index.ByID(id); known {
				row := s.Index.Row(i)
				v.ok("approves", "%s of %s, entry %d, manifest %s (%s)", shownRef(row.Ref), s.ID, i, row.Manifest, rowState(s.Index, row))
				break
			}
		}
		if !known {
			v.note("approves", "publication %s, which is in no feed that was followed here", id)
		}
	}
	return nil
}
