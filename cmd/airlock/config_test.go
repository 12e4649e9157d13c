package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/pflag"

	"airlock/internal/settings"
)

// runStart runs "run-start NAME ARGS…": airlock ARGS… in the background; what it says
// goes to NAME.err.
func runStart(ts *testscript.TestScript, _ bool, args []string) { background(ts, args[0], args[1:]) }

// hangUp runs "hangup NAME": SIGHUP for what run-start started.
func hangUp(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Value(serversKey{}).(map[string]*exec.Cmd)[args[0]].Process.Signal(syscall.SIGHUP))
}

// tlsPair runs "tls-pair CERT KEY": a certificate that is good for a year, and its
// key.
func tlsPair(ts *testscript.TestScript, _ bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	tlsRenew(ts, false, args)
}

// tlsRenew runs "tls-renew CERT KEY": another certificate for the key that is there.
func tlsRenew(ts *testscript.TestScript, _ bool, args []string) {
	block, _ := pem.Decode([]byte(ts.ReadFile(args[1])))
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	ts.Check(err)
	key := parsed.(*ecdsa.PrivateKey)
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
}

// TestSettingFlags holds that every setting has a flag of serve, with its default.
func TestSettingFlags(t *testing.T) {
	root := newRoot(&app{})
	serve, _, err := root.Find([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	s := settings.Default()
	for _, f := range s.Fields() {
		flag := serve.Flags().Lookup(f.Flag)
		if f.Common {
			flag = root.PersistentFlags().Lookup(f.Flag)
		}
		if flag == nil || flag.Value.String() != f.String() {
			t.Errorf("%s: flag --%s is %v", f.Path, f.Flag, flag)
		}
	}
	serve.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" && !hasFlag(s.Fields(), f.Name) {
			t.Errorf("--%s is a flag of serve, and no setting", f.Name)
		}
	})
}

func hasFlag(fields []settings.Field, name string) bool {
	for _, f := range fields {
		if f.Flag == name {
			return true
		}
	}
	return false
}
