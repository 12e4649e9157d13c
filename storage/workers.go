package storage

import "runtime"

// workers is what GOMAXPROCS was when the program began: the cores that it may use,
// or what the environment says.
var workers = runtime.GOMAXPROCS(0)

// Workers is over how many goroutines work is spread that only needs the processor,
// such as hashing and verifying. A server raises GOMAXPROCS above it, so that one of
// the runtime's processors is always free for a request that comes.
func Workers() int { return workers }
