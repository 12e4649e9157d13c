// Package log keeps feeds: it commits statements to a store and reads them
// back as the parts that followers take.
//
// # Committing
//
// All that may change of a feed is one cell (see cell.go). A commit is:
//
//  1. the statements, by Stage, and the objects they name, by the caller, are made
//     durable before Append;
//  2. submissions that wait at the same time become one group;
//  3. who may sign, uniqueness and previous are checked against the ledger at
//     exactly the size that the swap is conditional on;
//  4. the cell is swapped: the one commit point;
//  5. the checkpoint is signed, and the callers get their answer.
//
// After a conflict or an unclear answer the cell is read again, the ledger is
// folded on, and what is found there by its id counts as done. Any number of
// processes may commit to one store.
//
// # What may become an entry
//
// A log takes what readers will let count, by the same code: feed.Signers for
// who may sign at that place, feed.Index for versions and for the chain of a
// name. All of it comes from the entries, and from the identity documents that
// they name, so every process on the store decides alike, after a restart too.
// Only signatures are the caller's to verify.
//
// The ledger says of every entry what it is, which never changes, so index pages
// never change. A revocation changes what counts: the rules ask it of the newest
// identity when they look at a version (feed.Index.CheckBut), and it makes no
// difference to the chain. So the statement after a revoked one names it as
// previous, and the version that it published is free.
//
// # Spilling
//
// Segments, tiles and index pages hold committed entries only, so their bytes
// are a function of their index: any process may write them at any time, twice
// does no harm. The cell lets go of entries once their segment is durable.
//
// # Keys in the store
//
//	feeds/<org>/<space>/<feed>                    file   the feed exists
//	log/<org>/<space>/<feed>                      cell   see cell.go
//	checkpoint/<org>/<space>/<feed>               cell   newest signed checkpoint, for readers without the key; may lag
//	log/<org>/<space>/<feed>/e<epoch>/segment/<n> file   256 statements
//	log/<org>/<space>/<feed>/e<epoch>/tile/…      file   hash tiles (C2SP tlog-tiles)
//	log/<org>/<space>/<feed>/e<epoch>/index/<n>   file   index page of 65,536 entries
//	pack/<org>/<space>/<feed>/e<epoch>/<n>        cell   small objects of a segment; may be missing
//	operator                                      file   whose log key writes here, see operator.go
//
// Statements wait as objects of the Space until their segment is written, see
// stage.go.
package log
