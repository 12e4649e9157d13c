// Command peerbench measures one peer and prints JSON.
//
//	peerbench oras -bin ORAS -dir TEMPLATES        push and pull with a registry
//	peerbench nginx [-d 5s] [-c 32] [-no-wrk]      a 2 KiB file, and 304
//	peerbench load -url URL -pid PID [-header 'Name: value']... [-d 5s] [-c 32] [-status 200] [-no-wrk]
//	peerbench copy [-size 1073741824] [-dir DIR]   cp, sync and openssl dgst
//	peerbench crypto [-bytes N] [-piece N] [-signatures N]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"airlock/internal/bench/peers"
)

const limit = 20 * time.Minute // of one measurement

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	result, err := run(ctx, os.Args[1:])
	if err == nil {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		err = out.Encode(result)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "peerbench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (any, error) {
	commands := map[string]func(context.Context, *flag.FlagSet, []string) (any, error){
		"oras": oras, "nginx": nginx, "load": load, "copy": copyFile, "crypto": crypto,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		return nil, errors.New("want oras, nginx, load, copy or crypto")
	}
	return commands[args[0]](ctx, flag.NewFlagSet(args[0], flag.ContinueOnError), args[1:])
}

func oras(ctx context.Context, flags *flag.FlagSet, args []string) (any, error) {
	bin := flags.String("bin", "oras", "the `program` built from the module oras")
	templates := flags.String("dir", "", "`folder` of the files to push")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "peer-oras-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	push, pull, err := peers.OrasTransfers(ctx, *bin, *templates, dir)
	return map[string]peers.Transfer{"push": push, "pull": pull}, err
}

func nginx(ctx context.Context, flags *flag.FlagSet, args []string) (any, error) {
	l := loadFlags(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "peer-nginx-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	whole, unchanged, err := peers.NginxLoads(ctx, dir, *l)
	return map[string]peers.LoadResult{"200": whole, "304": unchanged}, err
}

func load(ctx context.Context, flags *flag.FlagSet, args []string) (any, error) {
	l := loadFlags(flags)
	flags.StringVar(&l.URL, "url", "", "`URL` to ask for")
	flags.IntVar(&l.PID, "pid", 0, "the server's process")
	flags.IntVar(&l.Status, "status", http.StatusOK, "what every answer must be")
	flags.Func("header", "`Name: value` to send; may be repeated", func(s string) error {
		name, value, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New("want Name: value")
		}
		l.Header.Add(name, strings.TrimSpace(value))
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	return l.Run(ctx)
}

func loadFlags(flags *flag.FlagSet) *peers.Load {
	l := &peers.Load{Header: http.Header{}}
	flags.DurationVar(&l.Duration, "d", 5*time.Second, "how long to measure")
	flags.IntVar(&l.Connections, "c", 32, "connections")
	flags.BoolVar(&l.NoWrk, "no-wrk", false, "use the generator in Go")
	return l
}

func copyFile(ctx context.Context, flags *flag.FlagSet, args []string) (any, error) {
	size := flags.Int64("size", 1<<30, "`bytes` of the file")
	parent := flags.String("dir", "", "`folder` on the disk to measure")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(*parent, "peer-copy-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "file")
	if err := peers.RandomFile(file, *size); err != nil {
		return nil, err
	}
	return peers.Copy(ctx, file, dir)
}

func crypto(_ context.Context, flags *flag.FlagSet, args []string) (any, error) {
	bytes := flags.Int64("bytes", 1<<30, "`bytes` to hash")
	piece := flags.Int("piece", 4096, "`bytes` hashed at a time")
	signatures := flags.Int("signatures", 20_000, "signatures to verify")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	one, err := peers.Crypto(*bytes, *piece, *signatures, 1)
	if err != nil {
		return nil, err
	}
	two, err := peers.Crypto(*bytes, *piece, *signatures, 2)
	return []peers.CryptoCost{one, two}, err
}
