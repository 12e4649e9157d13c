// Package interop lets strangers' tools judge what Airlock writes: stock
// cosign, openssl, an independent C2SP reader (tlogread) and a browser; and lets
// S3 servers that share no code keep it. Its tests need those tools and run with
// `make interop` only.
package interop
