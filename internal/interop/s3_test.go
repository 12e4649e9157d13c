//go:build interop

package interop

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"airlock/storage"
	"airlock/storage/storetest"
)

// TestMinIO: the promises of a store hold on a server that shares no code with
// the one that the other tests use.
func TestMinIO(t *testing.T) {
	cfg := storetest.MinIO(t)
	n := 0
	storetest.Run(t, func(t *testing.T) *storage.Store {
		n++
		cfg.Prefix = fmt.Sprintf("store/%d", n)
		s, err := storage.OpenS3(t.Context(), cfg)
		must(t, err)
		if s.Exclusive != "" {
			t.Errorf("exclusive: %s", s.Exclusive)
		}
		return storage.Chunked(s)
	})
}

// TestServersOnS3: Spaces publish into one feed through two servers of a bucket at
// once, and a reader finds everything through either, verified.
func TestServersOnS3(t *testing.T) {
	for name, serve := range map[string]func(testing.TB) storage.S3Config{"versitygw": storetest.VersityGW, "minio": storetest.MinIO} {
		t.Run(name, func(t *testing.T) {
			cfg := serve(t)
			t.Setenv("AIRLOCK_S3_ENDPOINT", cfg.Endpoint)
			t.Setenv("AWS_ACCESS_KEY_ID", cfg.AccessKey)
			t.Setenv("AWS_SECRET_ACCESS_KEY", cfg.SecretKey)
			t.Setenv("AWS_REGION", cfg.Region)
			p := built(t)
			store := "s3://" + cfg.Bucket + "/feeds"
			p.run("--home", "dev", "init", "acme/dev-qa", "--plain-keys", "--person", "Alice")
			p.run("--home", "dev", "identity", "export", "-o", "dev-qa.id")
			p.run("--home", "op", "server", "admit", "dev-qa.id", "--store", store)
			var urls []string
			for _, home := range []string{"op", "op2"} {
				if home != "op" { // a further server needs nothing but the log key
					key, err := os.ReadFile(p.file("op", "keys", "log.key"))
					must(t, err)
					must(t, os.MkdirAll(p.file(home, "keys"), 0o700))
					must(t, os.WriteFile(p.file(home, "keys", "log.key"), key, 0o600))
				}
				urls = append(urls, p.start(`^serving .* on (http://\S+)`, "--home", home, "serve", "--store", store, "--listen", "127.0.0.1:0", "--access-log", "none", "--audit-log", "none"))
			}
			publishTo(p, urls, 12)
			p.run("--home", "prod", "trust", "add", "dev-qa.id", "--thumbprint", p.lineage("dev-qa.id"))
			for i, url := range urls {
				into := fmt.Sprintf("conf-%d", i)
				p.run("--home", "prod", "--server", url, "pull", "acme/dev-qa/shared", "--into", into)
				sets, err := os.ReadDir(p.file(into, "variable-set"))
				if err != nil || len(sets) != 12 {
					t.Errorf("through server %d: %d variable sets, %v", i, len(sets), err)
				}
				p.run("--home", "prod", "--server", url, "verify", "acme/dev-qa/shared")
			}
		})
	}
}

// publishTo publishes packages, each to the next server, all at once.
func publishTo(p *program, urls []string, n int) {
	var publishing sync.WaitGroup
	for i := range n {
		file := fmt.Sprintf("set-%d.yaml", i)
		must(p.t, os.WriteFile(p.file(file), []byte(strings.Replace(variableSet, "NAME", fmt.Sprintf("Set %d", i), 1)), 0o644))
		publishing.Go(func() {
			if _, err := p.try("--home", "dev", "--server", urls[i%len(urls)], "publish", "shared", file); err != nil {
				p.t.Errorf("publish %s: %v", file, err)
			}
		})
	}
	publishing.Wait()
}

const variableSet = `apiVersion: airlock.example/v1
kind: VariableSet
name: NAME
version: "1.0.0"
variables:
  - {name: Host, value: host.example}
`
