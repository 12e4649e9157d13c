// Package feed is what a feed is made of: its formats, its rules, and the
// [Follower], which reads a feed from anywhere and checks all of it.
//
// # Words
//
// A feed ([ID]) is an append-only log that one Space owns; an entry is a
// statement at an index of it. A package ([Ref]) has kind, name, version and a
// [Manifest], whose SHA-256 is its identity. A [Publication] says what a version
// is, a [Withdrawal] ends it for good. A [Segment] is up to 256 neighbouring
// statements. A [Checkpoint] is the signed size and root of the log's Merkle tree,
// an [Edge] what is needed of that tree to go on. An [Index] is what the entries
// add up to, a [State] what a reader keeps.
//
// # Reading
//
// A [Source] is a server, a folder or a bucket. Follower.Sync takes a feed in up
// to the source's newest checkpoint:
//
//  1. The checkpoint is held against what was seen. A smaller one is a rollback;
//     another root at the same size, or a longer tree that does not begin with
//     what was seen, is a fork. Both are a [RollbackError], and both signed notes
//     are kept as evidence. A medium may come late: see Follower.Late.
//  2. Segments are read from where the state ends. Entry 0 opens the feed and
//     names the log key; the identities right behind it say who may sign.
//  3. Each statement is verified at its place by a trust.View, and its leaf hash
//     goes into the tree.
//  4. Only where the tree has the signed root, the new state is kept, by one swap
//     of a cell.
//
// A single bad entry is void: it has its row, with the reason, is never applied,
// and the feed goes on. A wrong root, a gap, bytes that have no place in the tree
// and an unknown kind that says it is critical end the sync with nothing kept.
//
// [Follower.Fetch] gets the packages of accepted entries, [Follower.Statements]
// the statements themselves, each held against its row.
//
// A newcomer may begin at the newest [Snapshot] that the Space signed in the feed,
// in its [Holdings], and read on from there: see Follower.FromSnapshot.
//
// # Rules
//
// Committers (feed/log) and followers judge by the same code and so agree:
// [Signers] says who may sign at which entry, Index holds the chain of each name
// (rule 4.3) and the one content of each version (rule 4.4). What an entry is
// depends on the entries up to it, and never changes. Whether it counts depends on
// revocations too, which reach back: a follower then reads the feed again.
//
// # Publishing
//
// A [Publisher] takes a [Batch], statements and the objects that they name, and
// commits all of it or nothing. [Accepted.Verify] checks that the answer proves it.
//
// # Formats
//
// Each is specified, with its bounds, at the type or function that stands for it:
// Opening, Publication and Withdrawal (predicates), Manifest, [LogEntry],
// Checkpoint, Segment, [Pack], State, and index pages in page.go; the forms of
// names in name.go and at [CheckPath]. Byte-exact examples lie in testdata, and
// docs/formats.md collects all formats.
//
// # What is trusted
//
// A Follower believes its view and its own state, and nothing of a source. Objects
// are checked against digests that were signed, while they are read; packs and
// tiles are ways to have bytes sooner and prove nothing by themselves. The log key
// is the one that the Space named in entry 0. A reader who is new to a feed can be
// shown an older state of it, since only what was seen is held against a source.
package feed
