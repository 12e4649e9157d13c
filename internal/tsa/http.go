package tsa

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"time"

	"github.com/digitorus/timestamp"

	"airlock/signing"
)

// Media types of RFC 3161, section 3.4.
const (
	typeQuery = "application/timestamp-query"
	typeReply = "application/timestamp-reply"
)

// maxReply bounds a response that is read, in bytes: what an attestation holds.
const maxReply = 16 << 10

// Handler answers requests over HTTP: POST of an application/timestamp-query,
// on any path.
func Handler(a *Authority, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "POST a request as RFC 3161 has it", http.StatusMethodNotAllowed)
			return
		}
		if r.Header.Get("Content-Type") != typeQuery {
			http.Error(w, "want Content-Type "+typeQuery, http.StatusUnsupportedMediaType)
			return
		}
		request, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequest))
		if err != nil {
			http.Error(w, fmt.Sprintf("want a request of at most %d bytes", MaxRequest), http.StatusRequestEntityTooLarge)
			return
		}
		response, err := a.Respond(request)
		if err != nil {
			logger.Error("time stamp failed", "error", err)
			http.Error(w, "the authority failed", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", typeReply)
		_, _ = w.Write(response)
	})
}

// Client asks an authority over HTTP.
type Client struct {
	URL string
	// HTTP is the client to use; its Timeout bounds an answer.
	HTTP *http.Client
	// Authorities are those that are believed: no other answer is taken.
	Authorities *signing.Authorities
	Now         func() time.Time
}

var _ Stamper = (*Client)(nil)

// slack is how far the authority's clock may be from ours in either direction.
const slack = 24 * time.Hour

// Stamp asks for a token over message and checks it.
func (c *Client) Stamp(ctx context.Context, message []byte) ([]byte, error) {
	response, err := c.stamp(ctx, message)
	if err != nil {
		return nil, fmt.Errorf("time authority %s: %w", c.URL, err)
	}
	return response, nil
}

func (c *Client) stamp(ctx context.Context, message []byte) ([]byte, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, err
	}
	query, err := timestamp.CreateRequest(bytes.NewReader(message), &timestamp.RequestOptions{Hash: crypto.SHA256, Certificates: true, Nonce: nonce})
	if err != nil {
		return nil, err
	}
	response, err := c.post(ctx, query)
	if err != nil {
		return nil, err
	}
	got, err := c.Authorities.VerifyToken(response, message)
	if err != nil {
		return nil, err
	}
	// RFC 3161, section 2.4.2: an answer to this request and no older one.
	if got.Nonce == nil || got.Nonce.Cmp(nonce) != 0 {
		return nil, fmt.Errorf("%w: answers another request", signing.ErrTimestamp)
	}
	if off := got.Time.Sub(c.Now()); off > slack || off < -slack {
		return nil, fmt.Errorf("%w: says %s, a day or more from the clock here", signing.ErrTimestamp, signing.FormatTime(got.Time))
	}
	return response, nil
}

func (c *Client) post(ctx context.Context, query []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", typeQuery)
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answers %s", resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err == nil && len(b) > maxReply {
		err = errors.New("answers with more than 16 KiB")
	}
	return b, err
}
