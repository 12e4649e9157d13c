package storage

import (
	"context"
	"fmt"

	"github.com/minio/minio-go/v7"
)

// OpenEarlier opens a store of the format Earlier, so that what Format keeps
// elsewhere can be carried over; raise then gives it the marker of Format,
// durable on return. Until then it is what it was, and both may be repeated. No
// other process may have the store open meanwhile: servers look at the marker
// when they start. A store of another format, Format too, gives *FormatError,
// and nothing at all ErrNoStore.
func OpenEarlier(ctx context.Context, spec string, getenv func(string) string) (s *Store, raise func(context.Context) error, err error) {
	s, err = open(ctx, spec, getenv, opening{format: Earlier, existing: true})
	if err != nil {
		return nil, nil, err
	}
	return s, s.raise, nil
}

// raise puts the marker of Format in place of another.
func (s *dirStore) raise(context.Context) error {
	return s.replace(s.path(formatKey), []byte(Format))
}

// raise puts the marker of Format in place of another; whoever does it writes
// the same bytes, so it is sent again where the answer was lost.
func (s *s3Store) raise(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		_, err := s.put(ctx, formatKey, []byte(Format), func(*minio.PutObjectOptions) {})
		if err == nil {
			return nil
		}
		if !isUnclear(err) || attempt == s3Attempts || !pause(ctx, attempt) {
			return fmt.Errorf("marker: %w", s3Error(err))
		}
	}
}
