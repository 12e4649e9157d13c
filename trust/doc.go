// Package trust says who a Space is, who may sign for it, and what this Space
// takes from another. Only its [View] makes a [Verified], a statement that its
// Space made at a place where it counts.
//
// # Words
//
// A [Space] is an isolated installation with a name, "<organisation>/<space>".
// The name is no evidence. A Space is known by its [Lineage], the SHA-256 of its
// first identity, which people compare over another channel before they trust.
//
// An [Identity] is one version of who may sign: a root, the commitment to the
// next root, and leaves, each a key with a person and roles. A [History] is all
// versions from the first on. A [Position] is a feed, an epoch and an index. A
// [View] is what is known of one Space: its history, the entries from which each
// version is in force, and the local [Policy], if any.
//
// # Rules
//
//   - Position, not time: a leaf signs from the entry that lists it to the one
//     that drops it, in each feed by itself. The dates of its certificate are
//     asked for when an entry is appended (View.CheckDates), never afterwards.
//   - Nothing is parsed that was not signed (rule 4.1): the stored bytes are
//     verified, under the key of a listed leaf, before the statement is read.
//   - Each kind of statement wants its [Role]; only roots sign identities.
//   - A statement names lineage, feed and epoch. Moved elsewhere it is void.
//   - Version N+1 of an identity names N by digest and is signed by root N and
//     root N+1 (rule 8.3). A new root is the one that was committed to (rule 8.2),
//     so a stolen root cannot replace itself.
//   - A revocation reaches back: it names, per feed and epoch, the first void
//     entry, and voids all of a feed that it does not name. It stays in all later
//     versions.
//   - An approval counts by its key, which the receiver's policy lists: n keys of
//     n persons, never the publisher's, for the receivers and the time that it
//     names. Past maxAge without a sign of life nothing published is let in.
//     Withdrawals wait for neither.
//
// Verify is two questions in one. Signed asks whether the Space said it there,
// which never changes; Counts asks whether the key was revoked since. Authorize
// is another one: what was verified and the policy does not cover stays out. It
// goes by [Evidence], which its caller has collected.
//
// A refusal is a [DeniedError] with the name of its rule, as docs/formats.md has
// it, and the policy file where one decided.
//
// # Formats
//
// Each is specified where it is parsed: the identity document at [Identity], its
// statement at [IdentityPredicate], the identity file in file.go, the policy file
// at [Policy], masks of versions at [Mask], approvals at [Approval]. Byte-exact
// examples lie in testdata.
//
// # What is trusted
//
// A View believes the history and the policy that it is given, and its caller
// about the position of a statement. It believes no server, no name, and of
// clocks only the caller's own, for until and dates. View.Believed passes over the
// signature: it is for a log that reads back what was verified before.
package trust
