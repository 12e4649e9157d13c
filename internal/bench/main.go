package main

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
)

func main() {
	ctx := context.Background()
	n, _ := strconv.ParseInt(os.Args[3], 10, 64)
	f, _ := os.Create("/tmp/w/build.prof")
	pprof.StartCPUProfile(f)
	defer pprof.StopCPUProfile()
	s, err := newSite(ctx, os.Args[1], os.Args[2])
	if err == nil {
		err = build(ctx, s, n, os.Stderr)
	}
	fmt.Println(err)
}
