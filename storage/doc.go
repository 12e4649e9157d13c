// Package storage keeps what feeds are made of: immutable objects by digest
// (Objects), create-once files by key (Files), and the few values that change
// (Cells). A Store is the three together. There are stores in memory (NewMem),
// in a folder (OpenDir) and in an S3 bucket (OpenS3); all pass the same tests
// (storetest.Run). Open takes what people write. A Cache stands before any.
//
// # Digest
//
// A digest is the SHA-256 of some bytes, written "sha256:" and 64 lower-case
// hexadecimal digits (OCI image specification, "Digests"). Storing is
// verifying: Put is told digest and size, and nothing is visible before both
// match. Reading from the beginning verifies again.
//
// # Layout
//
// A folder and a bucket's prefix hold the same names with the same bytes, so
// either may be copied into the other:
//
//	format                                   "airlock-store 2\n"
//	objects/<organisation>/<space>/<aa>/<64 hexadecimal digits>
//	files/<key>
//	cells/<key>                              a line (below) and the value
//
// <aa> are the first two digits. A folder has two more, for one machine only
// and free to be deleted while no process has the store open: tmp/<a-z or 2-7>/
// for what is being written, and locks/ with one empty file for each cell. What
// has lain in tmp for a day is removed when the store is opened.
//
// No file changes once it has its name: a cell's new value is another file. So
// links to the files, as of a backup by rsync --link-dest, keep what they had.
//
// The line before a cell's value is
//
//	airlock-cell 1 <nonce: 32 digits> <SHA-256 of the value: 64 digits>\n
//
// with a nonce drawn anew for each Swap, for example (value "value"):
//
//	airlock-cell 1 000102030405060708090a0b0c0d0e0f cd42404d52ad55ccfa9aca4adc828aa5800ad9d385a0671fbcbf724118320619
//
// The marker is the first thing written and the first thing read. Another one
// gives *FormatError; so does a folder or prefix that has something in it but
// no marker, for it is not ours.
//
// # Durability
//
// What a method has acknowledged outlives a power cut, and nothing half-written
// is ever visible. In a folder, every file is written under tmp, synced, given
// its name by link or rename, and the folder synced, as are the parents of
// folders that were made on the way. Something that is there already is synced
// again before it is acknowledged again: who wrote it may have been killed
// before his own sync. For the same reason Load waits for the writer's lock and
// syncs a value that this process has not seen before. The tests cut the power
// after every step on a disk that forgets whatever was not synced, and leave
// out every sync in turn to see that it is needed.
//
// This holds on local file systems of Linux and macOS. On Windows the contents
// of files are synced, their names are left to NTFS. A bucket is as durable as
// its provider says.
//
// # Large payloads
//
// Chunked keeps payloads over 1 MiB in chunks of zstd frames on any store, and
// deltas between them. ChunkIndex, DeltaHead and Pointer are their formats.
//
// # Several writers
//
// Any number of processes of one machine may use a folder; cells are guarded by
// flock, which network file systems do not carry reliably. Any number of
// processes anywhere may use a bucket that honours If-Match and If-None-Match.
// Some do not and say nothing, so OpenS3 tries (Probe) and sets
// Store.Exclusive; one process is then still safe, two are not. Where it cannot
// try it sets Store.Untried, and one process is safe in any case.
package storage
