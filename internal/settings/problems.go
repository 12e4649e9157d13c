package settings

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
)

// Problem is what is wrong with a setting only beside others or on this machine.
type Problem struct {
	Path, Want, Got string
	Hint            string // what to do
}

// Problems returns what would keep a server with these settings from running.
func (s *Server) Problems() (out []Problem) {
	addr, err := net.ResolveTCPAddr("tcp", s.Listen)
	switch {
	case err != nil:
		out = append(out, Problem{"listen", s.Field("listen").form.want, err.Error(), "say --listen 127.0.0.1:PORT"})
	case s.Access == Open && !addr.IP.IsLoopback():
		out = append(out, Problem{"access", Credentials + ", where not only this machine reaches the server",
			fmt.Sprintf("%s on %s, which is not a loopback address: readers would need no credential", Open, s.Listen),
			"say --access credentials, or listen on 127.0.0.1"})
	}
	if s.Limits.BatchBytes > s.Limits.BatchMemory {
		out = append(out, Problem{"limits.batchMemory", "room for one batch, of " + formatSize(s.Limits.BatchBytes), formatSize(s.Limits.BatchMemory),
			"raise limits.batchMemory, or lower limits.batchBytes"})
	}
	return append(out, s.TLS.problems()...)
}

const hintTLS = "name a certificate chain and its private key, both in PEM, or say --tls self"

// Choice returns what is wrong where two certificates are named.
func (t TLS) Choice() []Problem {
	if t.Mode == "" || t.Cert == "" && t.Key == "" {
		return nil
	}
	return []Problem{{"tls.mode", "one certificate: one that is made, or one that is there", "both", hintTLS}}
}

func (t TLS) problems() []Problem {
	switch {
	case t.Mode != "" || t.Cert == "" && t.Key == "":
		return t.Choice()
	case t.Cert == "":
		return []Problem{{"tls.cert", "the certificate chain to tls.key", "none", hintTLS}}
	case t.Key == "":
		return []Problem{{"tls.key", "the private key to tls.cert", "none", hintTLS}}
	}
	var out []Problem
	for _, f := range [][2]string{{"tls.cert", t.Cert}, {"tls.key", t.Key}} {
		file, err := os.Open(f[1])
		if err != nil {
			out = append(out, Problem{f[0], "a file in PEM", err.Error(), hintTLS})
			continue
		}
		file.Close()
	}
	if len(out) > 0 {
		return out
	}
	if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
		return []Problem{{"tls.cert", "a certificate chain in PEM, and in tls.key its private key", err.Error(), hintTLS}}
	}
	return nil
}
