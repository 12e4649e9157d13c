package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"airlock/internal/bench/peers/proc"
)

// A CryptoCost is the bare cost of a reader's arithmetic, with Go's library.
type CryptoCost struct {
	Bytes      int64   `json:"bytes"`
	Piece      int     `json:"piece"` // bytes hashed at a time
	Signatures int     `json:"signatures"`
	Threads    int     `json:"threads"`
	HashS      float64 `json:"hash_wall_s"`
	VerifyS    float64 `json:"verify_wall_s"`
	CPUS       float64 `json:"cpu_s"`
}

// WallS is the time of both, one after the other.
func (c CryptoCost) WallS() float64 { return c.HashS + c.VerifyS }

// Crypto hashes bytes in pieces with SHA-256 and verifies P-256 signatures, on
// so many threads. Nothing else is in the clock: no reading, no parsing.
func Crypto(bytes int64, piece, signatures, threads int) (CryptoCost, error) {
	if piece < 1 || threads < 1 {
		return CryptoCost{}, errors.New("piece and threads are at least 1")
	}
	c := CryptoCost{Bytes: bytes, Piece: piece, Signatures: signatures, Threads: threads}
	signed, err := newSigned()
	if err != nil {
		return c, err
	}
	before, err := proc.Of(os.Getpid())
	if err != nil {
		return c, err
	}
	c.HashS, _ = spread(threads, int(bytes/int64(piece)), func(n int) error {
		block := make([]byte, piece)
		for i := range n {
			sum := sha256.Sum256(block)
			block[i%piece] ^= sum[0] // no two pieces are alike
		}
		return nil
	})
	if c.VerifyS, err = spread(threads, signatures, signed.verify); err != nil {
		return c, err
	}
	after, err := proc.Of(os.Getpid())
	c.CPUS = (after.CPU - before.CPU).Seconds()
	return c, err
}

// spread has each thread do its share of n rounds and returns the wall time.
func spread(threads, n int, work func(rounds int) error) (float64, error) {
	begin := time.Now()
	var group errgroup.Group
	for t := range threads {
		share := n / threads
		if t < n%threads {
			share++
		}
		group.Go(func() error { return work(share) })
	}
	err := group.Wait()
	return time.Since(begin).Seconds(), err
}

// signed is a supply of different signatures by one key.
type signed struct {
	key        *ecdsa.PublicKey
	digests    [256][32]byte
	signatures [256][]byte
}

func newSigned() (*signed, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	s := &signed{key: &key.PublicKey}
	for i := range s.digests {
		s.digests[i] = sha256.Sum256(fmt.Appendf(nil, "statement %d", i))
		if s.signatures[i], err = ecdsa.SignASN1(rand.Reader, key, s.digests[i][:]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *signed) verify(rounds int) error {
	for i := range rounds {
		at := i % len(s.digests)
		if !ecdsa.VerifyASN1(s.key, s.digests[at][:], s.signatures[at]) {
			return fmt.Errorf("signature %d does not verify", at)
		}
	}
	return nil
}
