package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

const registryConfig = `version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: %s
http:
  addr: %s
  secret: benchmark
`

// StartRegistry runs distribution's registry, the program "registry", with its
// storage below dir. Its logs are off, in its favour.
func StartRegistry(ctx context.Context, dir string) (*Server, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "registry.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, registryConfig, filepath.Join(dir, "storage"), addr), 0o644); err != nil {
		return nil, err
	}
	return Start(ctx, addr, "registry", "serve", config)
}

// A Transfer is the push or pull of many artifacts.
type Transfer struct {
	Items         int     `json:"items"`
	Bytes         int64   `json:"bytes"` // of payload
	WallS         float64 `json:"wall_s"`
	PerS          float64 `json:"items_per_s"`
	ClientCPUS    float64 `json:"cpu_client_s"`
	ServerCPUS    float64 `json:"cpu_server_s"`
	ClientPeakKiB int64   `json:"peak_client_rss_kib"`
	ServerPeakKiB int64   `json:"peak_server_rss_kib"`
}

// OrasTransfers pushes every file of templates as an artifact to a registry
// with eight workers, and pulls them all. oras is the program built from the
// module beside this package, dir an empty folder for both ends.
//
// The wall time is the clients' own, from the first request to the last answer;
// their CPU time includes their start.
func OrasTransfers(ctx context.Context, oras, templates, dir string) (push, pull Transfer, err error) {
	server, err := StartRegistry(ctx, dir)
	if err != nil {
		return push, pull, err
	}
	defer server.Stop()
	args := []string{"-registry", server.Addr, "-dir", templates, "-j", "8"}
	if push, err = transfer(ctx, server, oras, append([]string{"push"}, args...)); err != nil {
		return push, pull, err
	}
	args = append([]string{"pull"}, append(args, "-out", filepath.Join(dir, "pulled"))...)
	pull, err = transfer(ctx, server, oras, args)
	return push, pull, err
}

// transfer runs one client and charges the server with what it used meanwhile.
func transfer(ctx context.Context, server *Server, oras string, args []string) (Transfer, error) {
	before, err := server.Usage()
	if err != nil {
		return Transfer{}, err
	}
	cost, out, err := Run(ctx, oras, args...)
	if err != nil {
		return Transfer{}, err
	}
	after, err := server.Usage()
	if err != nil {
		return Transfer{}, err
	}
	t := Transfer{
		ClientCPUS: cost.CPUS, ClientPeakKiB: cost.PeakKiB,
		ServerCPUS: (after.CPU - before.CPU).Seconds(), ServerPeakKiB: after.PeakKiB,
	}
	if err := json.Unmarshal(out, &t); err != nil {
		return Transfer{}, fmt.Errorf("oras printed %.80q: %w", out, err)
	}
	t.PerS = float64(t.Items) / t.WallS
	return t, nil
}
