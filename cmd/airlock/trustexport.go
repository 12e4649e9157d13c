package main

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/signing"
	"airlock/trust"
)

func (a *app) trustExportCommand() *cobra.Command {
	var form, out, tsaCerts string
	c := &cobra.Command{
		Use:   "export ORGANISATION/SPACE",
		Short: "Write what stock tools need to verify a Space",
		Long: `Write a Space's certificates for tools that are not ours. "sigstore" writes the
trusted_root.json of cosign and sigstore-go, "pem" the roots for openssl, "vkey"
the verifier keys (C2SP signed-note) of its feeds' logs, as far as they were
followed here.

Always verify with a type, since a bare "cosign verify" would take a withdrawal
for a publication:

  cosign verify-blob-attestation --bundle B --trusted-root trusted_root.json \
    --type https://airlock.example/publication/v1 \
    --certificate-identity space://ORGANISATION/SPACE \
    --certificate-oidc-issuer ISSUER \
    --insecure-ignore-tlog --insecure-ignore-sct MANIFEST

Statements with a time stamp, such as receipts, are checked together with the
log's proof, without --insecure-ignore-tlog: say --tsa-certs.`,
		Example: `  airlock trust export acme/dev-qa --format sigstore -o trusted_root.json
  airlock trust export acme/dev-qa --format pem -o roots.pem`,
		Args:              exactly(1, "<organisation>/<space>"),
		ValidArgsFunction: a.completeTrusted,
		RunE: func(_ *cobra.Command, args []string) error {
			history, err := a.historyOf(args[0])
			if err != nil {
				return err
			}
			b, err := a.exportTrust(history, form, tsaCerts)
			if err != nil {
				return err
			}
			return a.writeOutput(out, bytes.NewReader(b))
		},
	}
	c.Flags().StringVar(&tsaCerts, "tsa-certs", "", "file with the roots of time authorities in PEM, for sigstore")
	// The name --format is the usual one for this command; the form of
	// listings is not asked for here.
	c.Flags().StringVar(&form, "format", "sigstore", "sigstore, pem or vkey")
	c.Flags().SetAnnotation("format", ownMeaning, []string{"form of the trust root"})
	c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"sigstore", "pem", "vkey"}, cobra.ShellCompDirectiveNoFileComp))
	c.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	return c
}

// historyOf returns the identity of this home's own Space or a trusted one.
func (a *app) historyOf(name string) (*trust.History, error) {
	h, err := a.home()
	if err != nil {
		return nil, err
	}
	if own, err := h.Identity(); err == nil && own.Space().String() == name {
		return own, nil
	}
	_, t, err := a.trustedSpace(name)
	return t.History, err
}

// trustedRoot is the part of Sigstore's trusted_root.json that is used.
type trustedRoot struct {
	MediaType              string          `json:"mediaType"`
	TLogs                  []trustedLog    `json:"tlogs,omitempty"`
	CertificateAuthorities []trustedIssuer `json:"certificateAuthorities"`
	TimestampAuthorities   []trustedTimer  `json:"timestampAuthorities,omitempty"`
}

// trustedTimer is a time authority, by its root.
type trustedTimer struct {
	Subject   map[string]string `json:"subject"`
	CertChain trustedChain      `json:"certChain"`
	ValidFor  map[string]any    `json:"validFor"`
}

type trustedIssuer struct {
	CertChain trustedChain `json:"certChain"`
}

type trustedChain struct {
	Certificates []trustedCert `json:"certificates"`
}

type trustedCert struct {
	RawBytes []byte `json:"rawBytes"`
}

func (a *app) exportTrust(history *trust.History, form, tsaCerts string) ([]byte, error) {
	roots := rootsOf(history)
	switch form {
	case "pem":
		return rootsPEM(roots), nil
	case "vkey":
		states, err := a.followed(history)
		var out strings.Builder
		for _, s := range states {
			fmt.Fprintln(&out, feed.VerifierKey(s.ID.Origin(s.Epoch), s.LogKey))
		}
		return []byte(out.String()), err
	case "sigstore":
		states, err := a.followed(history)
		if err != nil {
			return nil, err
		}
		var timers []*x509.Certificate
		if tsaCerts != "" {
			believed, err := readAuthorities(tsaCerts)
			if err != nil {
				return nil, err
			}
			if timers, err = timeRoots(believed, tsaCerts); err != nil {
				return nil, err
			}
		}
		return sigstoreRoot(roots, states, timers)
	}
	return nil, usage("format %.40q is not one of sigstore, pem, vkey", "say --format sigstore, --format pem or --format vkey", form)
}

// rootsOf returns the certificates of all roots that a Space had.
func rootsOf(history *trust.History) (roots [][]byte) {
	for _, v := range history.Versions() {
		if !slices.ContainsFunc(roots, func(r []byte) bool { return string(r) == string(v.Identity.Root) }) {
			roots = append(roots, v.Identity.Root)
		}
	}
	return roots
}

func rootsPEM(roots [][]byte) []byte {
	var out strings.Builder
	for _, r := range roots {
		writePEM(&out, r)
	}
	return []byte(out.String())
}

// sigstoreRoot returns the trusted_root.json of a Space, the logs of its feeds and
// the roots of time authorities.
func sigstoreRoot(roots [][]byte, states []*feed.State, timers []*x509.Certificate) ([]byte, error) {
	doc := trustedRoot{MediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}
	for _, r := range roots {
		doc.CertificateAuthorities = append(doc.CertificateAuthorities, trustedIssuer{trustedChain{[]trustedCert{{r}}}})
	}
	logs, err := trustedLogs(states)
	if err != nil {
		return nil, err
	}
	doc.TLogs = logs
	for _, cert := range timers {
		doc.TimestampAuthorities = append(doc.TimestampAuthorities, trustedTimer{Subject: map[string]string{"commonName": cert.Subject.CommonName},
			CertChain: trustedChain{[]trustedCert{{cert.Raw}}}, ValidFor: map[string]any{"start": signing.FormatTime(cert.NotBefore)}})
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	return append(b, '\n'), err
}

// timeRoots returns the roots among the certificates of time authorities, which
// path holds: a trusted_root.json takes no others.
func timeRoots(believed *signing.Authorities, path string) ([]*x509.Certificate, error) {
	roots := slices.DeleteFunc(believed.Certificates(), func(c *x509.Certificate) bool { return !c.IsCA })
	if len(roots) == 0 {
		return nil, usage("--tsa-certs %s: holds no root certificate", "airlock tsa cert writes one", path)
	}
	return roots, nil
}

// trustedLog is a transparency log as Sigstore's trusted root has it.
type trustedLog struct {
	BaseURL       string        `json:"baseUrl"`
	HashAlgorithm string        `json:"hashAlgorithm"`
	PublicKey     trustedLogKey `json:"publicKey"`
	LogID         trustedLogID  `json:"logId"`
}

type trustedLogKey struct {
	RawBytes   string         `json:"rawBytes"`
	KeyDetails string         `json:"keyDetails"`
	ValidFor   map[string]any `json:"validFor"`
}

type trustedLogID struct {
	KeyID string `json:"keyId"`
}

// trustedLogs lists the logs of feeds.
func trustedLogs(states []*feed.State) ([]trustedLog, error) {
	var out []trustedLog
	for _, s := range states {
		origin := s.ID.Origin(s.Epoch)
		spki, err := ed25519SPKI(s.LogKey)
		if err != nil {
			return nil, err
		}
		id := feed.LogID(origin, s.LogKey)
		out = append(out, trustedLog{BaseURL: "https://" + origin, HashAlgorithm: "SHA2_256",
			PublicKey: trustedLogKey{RawBytes: base64.StdEncoding.EncodeToString(spki), KeyDetails: "PKIX_ED25519",
				ValidFor: map[string]any{"start": "2020-01-01T00:00:00Z"}},
			LogID: trustedLogID{base64.StdEncoding.EncodeToString(id[:])}})
	}
	return out, nil
}
