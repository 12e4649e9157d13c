package trust_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"airlock/signing"
	"airlock/trust"
	"airlock/trust/trusttest"
)

// The files under testdata are the formats, byte for byte: a change that no
// longer reads them needs a new version of the format. -update makes new ones.
var update = flag.Bool("update", false, "write the example files anew, with new keys")

const exampleLineage = "sha256:63b7a30fca335f0eec58f4ac8c588ec55b9a2cac816a08b173d8b336671dfb9e"

const exampleApproval = "sha256:dd0083975d356b050f993ed158ff3d1fc9e3c6c1f5cd2fd879bb124d85bfeacf"

func example(t *testing.T, name string) []byte {
	t.Helper()
	return must(os.ReadFile(filepath.Join("testdata", name)))
}

func TestExamples(t *testing.T) {
	if *update {
		writeExamples(t)
	}
	file := example(t, "dev-qa.id")
	h, err := trust.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(trust.FormatFile(h), file) {
		t.Error("dev-qa.id does not come back as it was")
	}
	if h.Lineage().String() != exampleLineage || h.Space().String() != "acme/dev-qa" || len(h.Versions()) != 3 {
		t.Errorf("%s, lineage %s, %d versions", h.Space(), h.Lineage(), len(h.Versions()))
	}
	if !bytes.Equal(h.Version(2).Raw(), example(t, "identity.json")) {
		t.Error("identity.json is not version 2 of dev-qa.id")
	}
	statements := h.Versions()[2].Statements
	if !bytes.Equal(statements[0].Payload(), example(t, "identity-statement.json")) {
		t.Errorf("identity-statement.json is not what root 1 says of version 3: %s", statements[0].Payload())
	}

	approval, err := signing.ParseAttestation(example(t, "approval.json"))
	if err != nil {
		t.Fatal(err)
	}
	approved, err := trust.OpenApproval(approval)
	if err != nil || len(approved.Approval.Approves) != 2 || approved.ID.String() != exampleApproval {
		t.Errorf("approval.json is %s: %+v, %v", approved.ID, approved.Approval, err)
	}

	code, err := trust.ParseInvitation(strings.TrimSuffix(string(example(t, "invitation.txt")), "\n"))
	if err != nil {
		t.Error(err)
	}
	var enrolment trust.Enrolment
	err = signing.UnmarshalCanonical(example(t, "enrolment.json"), &enrolment)
	if err != nil || enrolment.Invitation != code.ID() || enrolment.Pin != code.Pin() || enrolment.Lineage != h.Lineage() {
		t.Errorf("enrolment.json is %+v, %v, and not for invitation.txt and dev-qa.id", enrolment, err)
	}

	policy := example(t, "policy.yaml")
	p, err := trust.ParsePolicy("policy.yaml", policy)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := p.Format(); err != nil || !bytes.Equal(raw, policy) {
		t.Errorf("policy.yaml becomes\n%s, %v", raw, err)
	}
	if _, err := trust.NewView(h, p); err != nil {
		t.Error(err)
	}
}

// writeExamples makes a Space that revokes a key, then rotates its root.
func writeExamples(t *testing.T) {
	t.Helper()
	s := newSpace(t)
	s.Next(func(id *trust.Identity) { s.Revoke(id, s.Approver, entry(7)) })
	s.Next(s.Rotate)
	policy := must(trust.ParsePolicy("", bytes.Replace([]byte(goodPolicy),
		[]byte("sha256:"+strings.Repeat("1", 64)), []byte(s.Lineage().String()), 1)))
	alice := person("alice")
	approval := approvalOf(alice, s.Lineage(), idNumber(1), idNumber(2))
	approval.Comment = "for the release of March"
	for name, b := range map[string][]byte{
		"approval.json": trusttest.Sign(t, alice, must(approval.Statement())).Bytes(),
		"dev-qa.id":     s.File(), "identity.json": s.Version(2).Identity.Raw(), "policy.yaml": must(policy.Format()),
		"identity-statement.json": s.Version(3).Statements[0].Payload(),
	} {
		if err := os.WriteFile(filepath.Join("testdata", name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// person returns a signer whose key no identity lists.
func person(name string) *signing.Signer {
	key := must(signing.GenerateKey())
	return must(signing.NewSigner(key, must(signing.NewSelfSigned(name, key, trusttest.NotBefore, signing.ForStatements))))
}

// Documents are written as their fields are declared, so these are declared in
// the order of RFC 8785, and a list or pointer that may be missing is left out:
// null has no place.
func TestMemberOrder(t *testing.T) {
	for _, doc := range []any{
		trust.Identity{}, trust.Leaf{}, trust.Revocation{}, trust.RevokedFrom{}, trust.IdentityPredicate{}, trust.Bound{}, trust.Approval{}, trust.Enrolment{},
	} {
		var names []string
		for _, f := range reflect.VisibleFields(reflect.TypeOf(doc)) {
			if !f.IsExported() {
				continue
			}
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" || f.Type.Kind() == reflect.Pointer && options != "omitempty" {
				t.Errorf("%T.%s: tag %q", doc, f.Name, f.Tag)
			}
			names = append(names, name)
		}
		if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Errorf("%T: members %v are not sorted", doc, names)
		}
	}
	raw := must(signing.MarshalCanonical(trust.Bound{Critical: true, Epoch: 1, Feed: testFeed, Lineage: newSpace(t).Lineage()}))
	var b trust.Bound
	wantError(t, signing.UnmarshalCanonical(raw, &b), "")
}
