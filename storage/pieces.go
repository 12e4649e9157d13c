package storage

import "sync"

// pieceSize is the size of the pieces in which payloads travel, in bytes:
// large enough that system calls do not count, small enough that a hundred
// transfers at once stay within 100 MiB.
const pieceSize = 256 << 10

// pieces lends buffers of pieceSize bytes.
var pieces = sync.Pool{New: func() any {
	b := make([]byte, pieceSize)
	return &b
}}
