// Package interop lets strangers' tools judge what Airlock writes: stock
// cosign, openssl, and an independent C2SP reader (tlogread). Its tests need
// those tools and run with `make interop` only.
package interop
