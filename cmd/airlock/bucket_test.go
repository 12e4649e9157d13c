package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"airlock/storage/storetest"
)

// A bucket that is not there is said, with what to do.
func TestNoBucket(t *testing.T) {
	t.Parallel()
	cfg := storetest.VersityGW(t)
	env := map[string]string{"AIRLOCK_HOME": t.TempDir(), "AIRLOCK_S3_ENDPOINT": cfg.Endpoint, "AIRLOCK_S3_ACCESS_KEY": cfg.AccessKey, "AIRLOCK_S3_SECRET_KEY": cfg.SecretKey}
	for _, command := range [][]string{{"list"}, {"serve", "--listen", "127.0.0.1:0"}, {"server", "list"}} {
		var said bytes.Buffer
		code := run(t.Context(), append(command, "--store", "s3://absent/feeds"), streams{nil, &said, &said}, func(name string) string { return env[name] }, time.Now)
		if text := said.String(); code != exitUsage || !strings.Contains(text, "store s3://absent/feeds: there is no such bucket") || !strings.Contains(text, "hint: make the bucket") {
			t.Errorf("%v: %d, %s", command, code, text)
		}
	}
}
