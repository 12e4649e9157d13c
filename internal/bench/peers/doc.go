// Package peers runs and measures what Airlock is compared with: a container
// registry, nginx, cp, openssl, and the bare cost of hashing and verifying.
// Each measurement ends by itself. Servers listen on 127.0.0.1 only and lose
// their lives with the context they were started with.
//
// CPU time of a server is read from /proc, so the figures need Linux.
package peers
