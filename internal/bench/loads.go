package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"airlock/internal/bench/peers"
	"airlock/storage"
)

const connections = 32

// measureLoads asks for a small object and for an unchanged checkpoint, over
// and over.
func measureLoads(ctx context.Context, b *bench) []row {
	rows := []row{
		{name: "object", title: "Cached object of 2 KiB"},
		{name: "unchanged", title: "Unchanged checkpoint (304)"},
	}
	whole, unchanged := side{name: "airlock serve"}, side{name: "airlock serve"}
	nginxWhole, nginxUnchanged := side{name: "nginx, 2 workers"}, side{name: "nginx, 2 workers"}
	var last peers.LoadResult
	for i := range b.rounds {
		b.say("loads: round %d", i+1)
		theirs, err := b.nginxLoads(ctx)
		if err != nil {
			return failed(rows, err)
		}
		ours, err := b.airlockLoads(ctx)
		if err != nil {
			return failed(rows, err)
		}
		for j, s := range []*side{&nginxWhole, &nginxUnchanged} {
			s.add(theirs[j].PerCPUS, theirs[j].ServerCPU, mib(theirs[j].PeakKiB))
		}
		for j, s := range []*side{&whole, &unchanged} {
			s.add(ours[j].PerCPUS, ours[j].ServerCPU, mib(ours[j].PeakKiB))
		}
		last = ours[0]
	}
	rows[0].lines = []line{{what: fmt.Sprintf("GET, 200, %d bytes", last.BodyBytes), unit: "requests per CPU-second", peer: &nginxWhole, ours: whole, target: atLeast(0.4)}}
	rows[1].lines = []line{{what: "GET with If-None-Match, 304", unit: "requests per CPU-second", peer: &nginxUnchanged, ours: unchanged, target: atLeast(0.3)}}
	rows[0].note("Generator for both: %s, one thread, %d connections, %s. Both write an access log to a file. Airlock counts every request for its metrics; every request brings a token, which is checked.", last.Generator, connections, b.loadTime)
	return rows
}

func (b *bench) load() peers.Load {
	return peers.Load{Connections: connections, Duration: b.loadTime}
}

// nginxLoads returns whole answers and 304.
func (b *bench) nginxLoads(ctx context.Context) ([2]peers.LoadResult, error) {
	dir, err := b.folder()
	if err != nil {
		return [2]peers.LoadResult{}, err
	}
	whole, unchanged, err := peers.NginxLoads(ctx, dir, b.load())
	return [2]peers.LoadResult{whole, unchanged}, err
}

// airlockLoads likewise.
func (b *bench) airlockLoads(ctx context.Context) (out [2]peers.LoadResult, err error) {
	dir, err := b.folder()
	if err != nil {
		return out, err
	}
	s, err := newSite(ctx, b.airlock, dir)
	if err != nil {
		return out, err
	}
	server, err := s.serve(ctx)
	if err != nil {
		return out, err
	}
	defer server.Stop()
	object, tag, err := publishObject(ctx, s, server.Addr)
	if err != nil {
		return out, err
	}
	l := b.load()
	l.PID, l.Header = server.PID(), http.Header{"Authorization": {"Bearer " + s.token}}
	l.URL, l.Status = s.feedURL(server.Addr, "object/"+object.Hex()), http.StatusOK
	if out[0], err = l.Run(ctx); err != nil {
		return out, err
	}
	l.Header["If-None-Match"] = []string{tag}
	l.URL, l.Status = s.feedURL(server.Addr, "checkpoint"), http.StatusNotModified
	out[1], err = l.Run(ctx)
	return out, err
}

// publishObject publishes a file of 2 KiB and returns its digest, and the
// entity tag of the checkpoint that has it.
func publishObject(ctx context.Context, s *site, addr string) (storage.Digest, string, error) {
	content := bytes.Repeat([]byte("airlock "), 256)
	path := filepath.Join(s.dir, "object")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return storage.Digest{}, "", err
	}
	args := append(publisherArgs(s, addr, path), "--kind", "file", "--name", "object", "--version", "1")
	if _, _, err := peers.Run(ctx, s.airlock, args...); err != nil {
		return storage.Digest{}, "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.feedURL(addr, "checkpoint"), nil)
	if err != nil {
		return storage.Digest{}, "", err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return storage.Digest{}, "", err
	}
	resp.Body.Close()
	return storage.DigestOf(content), resp.Header.Get("ETag"), nil
}
