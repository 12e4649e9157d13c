// Package soak lets servers, publishers, readers and agents of one store work
// while everything around them fails, and checks what each of them saw. It has
// tests only; `make soak` is TestSoak for longer, with more servers.
//
// # What is checked
//
// Each client notes what it asked and what it was told, with the times of both.
// A feed's notes of a while, with the log as it then lies in the store, are a
// window (window_test.go), held against a model of a feed by a linearizability
// checker (github.com/anishathalye/porcupine):
//
//   - A feed is an append-only log. A batch takes effect at one moment between
//     question and answer, whole, at the indices that the answer said, and only
//     where each statement names the newest one about its name. So what was
//     acknowledged is there, once.
//   - What was refused is not there, and at one moment between question and
//     answer it was right to refuse it: the newest statement was the one that the
//     refusal named, or the version was taken by the entry that it named.
//   - A batch without a clear answer is there once and whole, or not at all. It may
//     come later: a request that was given up may still arrive.
//   - Whoever reads sees the log as it was at one moment, at most maxStale before
//     the question: a server answers out of memory, and the store may take its
//     time. What it shows has the entries and the root of the log, and never less
//     than the same client has seen.
//
// Two Spaces follow all feeds: one has two agents that ask and share the work, to
// the other one servers push. In the end both have the newest of every name and have
// given a receipt of it, no number of a receipt is there twice or missing, and what
// was handed to a program came in its order (handed_test.go).
package soak
