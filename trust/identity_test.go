package trust_test

import (
	"bytes"
	"crypto/ecdsa"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
	"airlock/trust/trusttest"
)

func profile(space, issuer string) signing.Profile {
	return signing.Profile{Space: space, Issuer: issuer, Name: "x", NotBefore: trusttest.NotBefore, NotAfter: trusttest.NotAfter}
}

// Every departure from the form is refused with the place and the rule.
func TestIdentityRefuses(t *testing.T) {
	x25519, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	key := storage.DigestOf([]byte("a key"))
	since := func(feed string, epoch uint64, size int64) []trust.RevokedFrom {
		return []trust.RevokedFrom{{Epoch: epoch, Feed: feed, Size: size}}
	}
	revoke := func(r trust.Revocation) func(*trust.Identity, *trusttest.Space) {
		return func(id *trust.Identity, _ *trusttest.Space) { id.Revocations = []trust.Revocation{r} }
	}
	for name, test := range map[string]struct {
		change func(id *trust.Identity, s *trusttest.Space)
		want   string
	}{
		"as it should be":   {func(*trust.Identity, *trusttest.Space) {}, ""},
		"no leaves":         {func(id *trust.Identity, _ *trusttest.Space) { id.Leaves = []trust.Leaf{} }, ""},
		"leaves left out":   {func(id *trust.Identity, _ *trusttest.Space) { id.Leaves = nil }, "null"},
		"api version":       {func(id *trust.Identity, _ *trusttest.Space) { id.APIVersion = "airlock.example/v2" }, "apiVersion"},
		"kind":              {func(id *trust.Identity, _ *trusttest.Space) { id.Kind = "TrustPolicy" }, "kind"},
		"space, no scheme":  {func(id *trust.Identity, _ *trusttest.Space) { id.Space = "acme/dev-qa" }, "want space://"},
		"space, Unicode":    {func(id *trust.Identity, _ *trusttest.Space) { id.Space = "space://acme/dev-q\u0430" }, "want space://"},
		"space, dots":       {func(id *trust.Identity, _ *trusttest.Space) { id.Space = "space://acme/.." }, "want space://"},
		"another space":     {func(id *trust.Identity, _ *trusttest.Space) { id.Space = "space://acme/production" }, "first URI SAN"},
		"issuer, http":      {func(id *trust.Identity, _ *trusttest.Space) { id.Issuer = "http://id.acme.example" }, "want an https URL"},
		"issuer, empty":     {func(id *trust.Identity, _ *trusttest.Space) { id.Issuer = "" }, "want an https URL"},
		"issuer, no host":   {func(id *trust.Identity, _ *trusttest.Space) { id.Issuer = "https:///a" }, "want an https URL"},
		"issuer, user":      {func(id *trust.Identity, _ *trusttest.Space) { id.Issuer = "https://id@acme.example" }, "want an https URL"},
		"issuer, query":     {func(id *trust.Identity, _ *trusttest.Space) { id.Issuer = trusttest.Issuer + "?" }, "want an https URL"},
		"issuer, fragment":  {func(id *trust.Identity, _ *trusttest.Space) { id.Issuer = trusttest.Issuer + "#a" }, "want an https URL"},
		"issuer, capitals":  {func(id *trust.Identity, _ *trusttest.Space) { id.Issuer = "https://ID.acme.example" }, "want an https URL"},
		"issuer, Unicode":   {func(id *trust.Identity, _ *trusttest.Space) { id.Issuer = "https://id.\u0430cme.example" }, "want an https URL"},
		"issuer, long":      {func(id *trust.Identity, _ *trusttest.Space) { id.Issuer += "/" + strings.Repeat("a", 200) }, "want an https URL"},
		"another issuer":    {func(id *trust.Identity, _ *trusttest.Space) { id.Issuer += "/" }, "issuer extension"},
		"version 0":         {func(id *trust.Identity, _ *trusttest.Space) { id.Version = 0 }, "version 1 names no"},
		"negative version":  {func(id *trust.Identity, _ *trusttest.Space) { id.Version = -1 }, "version 1 names no"},
		"first has another": {func(id *trust.Identity, _ *trusttest.Space) { id.Version = 1 }, "version 1 names no"},
		"no previous":       {func(id *trust.Identity, _ *trusttest.Space) { id.Previous = nil }, "version 1 names no"},

		"recipient":             {func(id *trust.Identity, _ *trusttest.Space) { id.Encryption = x25519.Recipient().String() }, ""},
		"hybrid recipient":      {func(id *trust.Identity, _ *trusttest.Space) { id.Encryption = hybrid.Recipient().String() }, ""},
		"recipient of a plugin": {func(id *trust.Identity, _ *trusttest.Space) { id.Encryption = plugin }, "native age recipient"},
		"recipient, in capitals": {func(id *trust.Identity, _ *trusttest.Space) {
			id.Encryption = strings.ToUpper(x25519.Recipient().String())
		}, "native age recipient"},
		"recipient, made up":       {func(id *trust.Identity, _ *trusttest.Space) { id.Encryption = "age1abc" }, "native age recipient"},
		"private key as recipient": {func(id *trust.Identity, _ *trusttest.Space) { id.Encryption = x25519.String() }, "native age recipient"},

		"no root":          {func(id *trust.Identity, _ *trusttest.Space) { id.Root = []byte{} }, "certificate"},
		"leaf as root":     {func(id *trust.Identity, s *trusttest.Space) { id.Root = s.Publisher.CertificateDER() }, "root certificate"},
		"root of another":  {func(id *trust.Identity, _ *trusttest.Space) { id.Root = newSpace(t).Version(1).Identity.Root }, "not issued by the root"},
		"no next":          {func(id *trust.Identity, _ *trusttest.Space) { id.Next = storage.Digest{} }, "next"},
		"next is the root": {func(id *trust.Identity, s *trusttest.Space) { id.Next = s.Version(1).Identity.RootKey() }, "next"},
		"next is a leaf":   {func(id *trust.Identity, s *trusttest.Space) { id.Next = s.Thumbprint(s.Approver) }, "used twice"},
		"root is a leaf":   {rootAsLeaf, "used twice"},
		"one leaf twice":   {func(id *trust.Identity, s *trusttest.Space) { s.List(id, s.Publisher) }, "used twice"},
		"one key twice":    {sameKey, "used twice"},
		"leaf of another": {func(id *trust.Identity, _ *trusttest.Space) {
			o := newSpace(t)
			id.Leaves = o.Version(1).Identity.Leaves
		}, "not issued by the root"},
		"leaf of a brother":  {leafFor("space://acme/production", trusttest.Issuer), "first URI SAN"},
		"leaf, other issuer": {leafFor("space://acme/dev-qa", "https://id.evil.example"), "issuer extension"},
		"leaf, no DER":       {func(id *trust.Identity, _ *trusttest.Space) { id.Leaves[0].Certificate = []byte("x") }, "leaves[0]: certificate"},
		"65 leaves":          {func(id *trust.Identity, _ *trusttest.Space) { id.Leaves = make65(id.Leaves[0]) }, "at most 64"},
		"nobody":             {func(id *trust.Identity, _ *trusttest.Space) { id.Leaves[0].Person = "" }, "person"},
		"person, too long":   {func(id *trust.Identity, _ *trusttest.Space) { id.Leaves[0].Person = strings.Repeat("a", 201) }, "person"},
		"person, escape":     {func(id *trust.Identity, _ *trusttest.Space) { id.Leaves[0].Person = "alice\x1b[2J" }, "person"},
		"person, turned":     {func(id *trust.Identity, _ *trusttest.Space) { id.Leaves[0].Person = "alice\u202e" }, "person"},
		"person, any script": {func(id *trust.Identity, _ *trusttest.Space) { id.Leaves[0].Person = "Łucja 王 (Ops)" }, ""},
		"no role":            {roles(), "roles"},
		"unknown role":       {roles("root"), "roles"},
		"role in capitals":   {roles("Publisher"), "roles"},
		"role twice":         {roles(trust.Approver, trust.Approver), "roles"},
		"roles not sorted":   {roles(trust.Publisher, trust.Approver), "roles"},
		"all roles":          {roles(trust.Approver, trust.Operator, trust.Publisher), ""},
		"for TLS":            {func(id *trust.Identity, s *trusttest.Space) { s.List(id, s.Leaf("TLS", trust.TLS)) }, ""},
		"for TLS and more":   {roles(trust.Publisher, trust.TLS), "tls stands alone"},
		"statements as TLS":  {roles(trust.TLS), "extended key usage is not clientAuth and serverAuth alone"},
		"TLS as statements":  {tlsAsPublisher, "extended key usage is not codeSigning alone"},

		"revocation":                {revoke(trust.Revocation{Key: key, Reason: "lost", Since: since(testFeed, 1, 0)}), ""},
		"revocation everywhere":     {revoke(trust.Revocation{Key: key, Since: []trust.RevokedFrom{}}), ""},
		"revocation without since":  {revoke(trust.Revocation{Key: key}), "null"},
		"revocation of nothing":     {revoke(trust.Revocation{Since: since(testFeed, 1, 0)}), "want a key"},
		"revocation, reason":        {revoke(trust.Revocation{Key: key, Reason: "\x1b", Since: since(testFeed, 1, 0)}), "reason"},
		"revocation, long reason":   {revoke(trust.Revocation{Key: key, Reason: strings.Repeat("a", 501), Since: since(testFeed, 1, 0)}), "reason"},
		"revocation, no feed":       {revoke(trust.Revocation{Key: key, Since: since("", 1, 0)}), "since[0]"},
		"revocation, other space":   {revoke(trust.Revocation{Key: key, Since: since("acme/dev-q/shared", 1, 0)}), "since[0]"},
		"revocation, feed's name":   {revoke(trust.Revocation{Key: key, Since: since("shared", 1, 0)}), "since[0]"},
		"revocation, feed and more": {revoke(trust.Revocation{Key: key, Since: since(testFeed+"/x", 1, 0)}), "since[0]"},
		"revocation, epoch 0":       {revoke(trust.Revocation{Key: key, Since: since(testFeed, 0, 0)}), "since[0]"},
		"revocation, size":          {revoke(trust.Revocation{Key: key, Since: since(testFeed, 1, -1)}), "since[0]"},
		"revocation, feed twice":    {revoke(trust.Revocation{Key: key, Since: slices.Concat(since(testFeed, 1, 0), since(testFeed, 1, 9))}), "named twice"},
		"revocation, two epochs":    {revoke(trust.Revocation{Key: key, Since: slices.Concat(since(testFeed, 1, 0), since(testFeed, 2, 9))}), ""},
		"revoked twice": {func(id *trust.Identity, _ *trusttest.Space) {
			id.Revocations = slices.Repeat([]trust.Revocation{{Key: key, Since: since(testFeed, 1, 0)}}, 2)
		}, "once"},
		"too many revocations": {tooManyRevocations, "at most 1024"},
		"revoked and listed": {func(id *trust.Identity, s *trusttest.Space) {
			revoke(trust.Revocation{Key: s.Thumbprint(s.Publisher), Since: since(testFeed, 1, 0)})(id, s)
		}, "still listed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpace(t)
			id := s.Draft()
			test.change(id, s)
			_, err := id.Format()
			wantError(t, err, test.want)
		})
	}
}

// plugin is the recipient of a YubiKey, from the documentation of its plugin.
const plugin = "age1yubikey1qg8t0s4ny8mxzrxg6qhgj8j2ujrpe0vd7xpu5vwsvh8wdjfsw6sxj0w9g5l"

func rootAsLeaf(id *trust.Identity, s *trusttest.Space) {
	cert := must(signing.NewLeaf(profile(s.Name.URI(), trusttest.Issuer), &s.Root.PublicKey, id.Root, s.Root))
	id.Leaves = append(id.Leaves, trust.Leaf{Certificate: cert, Person: "mallory", Roles: []trust.Role{trust.Publisher}})
}

// sameKey lists the publisher's key a second time, under another certificate
// and name (go-tuf GHSA-3633).
func sameKey(id *trust.Identity, s *trusttest.Space) {
	cert := must(signing.ParseCertificate(s.Publisher.CertificateDER()))
	again := must(signing.NewLeaf(profile(s.Name.URI(), trusttest.Issuer), cert.PublicKey.(*ecdsa.PublicKey), id.Root, s.Root))
	id.Leaves = append(id.Leaves, trust.Leaf{Certificate: again, Person: "mallory", Roles: []trust.Role{trust.Approver}})
}

func tooManyRevocations(id *trust.Identity, _ *trusttest.Space) {
	for i := range 1025 {
		id.Revocations = append(id.Revocations, trust.Revocation{Key: storage.DigestOf(fmt.Append(nil, i)), Since: []trust.RevokedFrom{}})
	}
}

func leafFor(space, issuer string) func(*trust.Identity, *trusttest.Space) {
	return func(id *trust.Identity, s *trusttest.Space) {
		cert := must(signing.NewLeaf(profile(space, issuer), &s.NextRoot.PublicKey, id.Root, s.Root))
		id.Leaves[0].Certificate = cert
	}
}

// tlsAsPublisher gives the key of a machine, which lies plain, a person's role.
func tlsAsPublisher(id *trust.Identity, s *trusttest.Space) {
	s.List(id, s.Leaf("TLS", trust.TLS))
	id.Leaves[len(id.Leaves)-1].Roles = []trust.Role{trust.Publisher}
}

func roles(roles ...trust.Role) func(*trust.Identity, *trusttest.Space) {
	return func(id *trust.Identity, _ *trusttest.Space) { id.Leaves[0].Roles = append([]trust.Role{}, roles...) }
}

func make65(leaf trust.Leaf) []trust.Leaf { return slices.Repeat([]trust.Leaf{leaf}, 65) }

// The document has one encoding.
func TestParseIdentityRefuses(t *testing.T) {
	s := newSpace(t)
	good := string(s.Version(1).Identity.Raw())
	swap := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in the document", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	for name, test := range map[string]struct{ raw, want string }{
		"as written":        {good, ""},
		"oversized":         {good + strings.Repeat(" ", trust.MaxIdentity), "at most"},
		"empty":             {"", "canonical"},
		"trailing line":     {good + "\n", "something follows"},
		"duplicate key":     {swap(`"version":1`, `"version":1,"version":1`), "given twice"},
		"key in capitals":   {swap(`"kind"`, `"Kind"`), "out of order"},
		"key in case":       {swap(`"version"`, `"versioN"`), "another case"},
		"unknown field":     {swap(`"version"`, `"valid":1,"version"`), "unknown field"},
		"white space":       {swap(`:1}`, `: 1}`), "canonical"},
		"empty revocations": {swap(`"root"`, `"revocations":[],"root"`), "empty"},
		"previous null":     {swap(`"root"`, `"previous":null,"root"`), "null"},
		"role as text":      {swap(`["publisher"]`, `"publisher"`), "cannot unmarshal"},
		"nested":            {swap(`["publisher"]`, strings.Repeat("[", 10_000)), "nested deeper"},
		"digest":            {swap(`"next":"sha256:`, `"next":"SHA256:`), "digest"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trust.ParseIdentity([]byte(test.raw))
			wantError(t, err, test.want)
		})
	}
}

// Every flipped bit makes another document or none, and its statement no
// longer fits.
func TestIdentityDamage(t *testing.T) {
	s := newSpace(t)
	v := s.Version(1)
	for i := range v.Identity.Raw() {
		for _, bit := range []byte{1, 4, 32} {
			bad := bytes.Clone(v.Identity.Raw())
			bad[i] ^= bit
			id, err := trust.ParseIdentity(bad)
			if err != nil {
				continue
			}
			if _, err := trust.Begin(trust.Version{Identity: id, Statements: v.Statements}); err == nil {
				t.Fatalf("byte %d with bit %d flipped: accepted", i, bit)
			}
		}
	}
}

func TestLineage(t *testing.T) {
	s := newSpace(t)
	lineage := s.Lineage()
	s.Next(s.Rotate)
	if s.History().Lineage() != lineage || trust.Lineage(storage.DigestOf(s.Version(1).Identity.Raw())) != lineage {
		t.Error("the lineage is not the digest of version 1")
	}
	back, err := trust.ParseLineage(lineage.String())
	if err != nil || back != lineage {
		t.Errorf("%s became %s, %v", lineage, back, err)
	}
	_, err = trust.ParseLineage(strings.ToUpper(lineage.String()))
	wantError(t, err, "digest")
}

func FuzzIdentity(f *testing.F) {
	s := newSpace(f)
	s.Next(func(id *trust.Identity) { s.Revoke(id, s.Approver, entry(3)) })
	f.Add(s.Version(1).Identity.Raw())
	f.Add(s.Version(2).Identity.Raw())
	f.Add(s.Version(2).Identity.Raw()[:300])
	f.Fuzz(func(t *testing.T, raw []byte) {
		id, err := trust.ParseIdentity(raw)
		if err != nil {
			return
		}
		if again, err := id.Format(); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%q became %q, %v", raw, again, err)
		}
	})
}
