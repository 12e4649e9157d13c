package peers

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// nginxConfig serves a folder with two workers, an access log and a cache of
// open files: a careful operator's settings for small static files.
const nginxConfig = `%[3]s
worker_processes 2;
daemon off;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections 1024; }
http {
  default_type application/json;
  access_log %[1]s/access.log;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  open_file_cache max=1000 inactive=60s;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  server { listen %[2]s; root %[1]s/files; }
}
`

// StartNginx serves files, by name, out of dir, which must be empty.
func StartNginx(ctx context.Context, dir string, files map[string][]byte) (*Server, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // workers must be able to read dir
	}
	if err := os.MkdirAll(filepath.Join(dir, "files"), 0o755); err != nil {
		return nil, err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, "files", name), content, 0o644); err != nil {
			return nil, err
		}
	}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, addr, user), 0o644); err != nil {
		return nil, err
	}
	return Start(ctx, addr, "nginx", "-e", filepath.Join(dir, "error.log"), "-p", dir, "-c", config)
}

// NginxLoads measures nginx with a file of 2 KiB: whole answers, and answers
// to who has it already (304). l gives connections, duration and generator.
func NginxLoads(ctx context.Context, dir string, l Load) (whole, unchanged LoadResult, err error) {
	server, err := StartNginx(ctx, dir, map[string][]byte{"object": bytes.Repeat([]byte("airlock "), 256)})
	if err != nil {
		return whole, unchanged, err
	}
	defer server.Stop()
	l.URL, l.PID, l.Status, l.Header = "http://"+server.Addr+"/object", server.PID(), http.StatusOK, nil
	if whole, err = l.Run(ctx); err != nil {
		return whole, unchanged, err
	}
	resp, err := http.Head(l.URL)
	if err != nil {
		return whole, unchanged, err
	}
	resp.Body.Close()
	l.Status, l.Header = http.StatusNotModified, http.Header{"If-None-Match": {resp.Header.Get("ETag")}}
	unchanged, err = l.Run(ctx)
	return whole, unchanged, err
}
