// Package log keeps feeds: it commits statements to a store and reads them
// back as the parts that followers take.
//
// # Committing
//
// All that may change of a feed is one cell (see cell.go). A commit is:
//
//  1. the statements and the objects they name are made durable (by the caller,
//     before Append);
//  2. submissions that wait at the same time become one group;
//  3. uniqueness and previous are checked against the index at exactly the
//     size that the swap is conditional on;
//  4. the cell is swapped: the one commit point;
//  5. the checkpoint is signed, and the callers get their answer.
//
// After a conflict or an unclear answer the cell is read again, the index is
// folded on, and what is found there by its id counts as done. Any number of
// processes may commit to one store.
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
//
// Statements wait as objects of the Space until their segment is written.
package log
