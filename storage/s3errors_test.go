package storage

import (
	"errors"
	"io/fs"
	"net/http"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestS3Error: what credentials are not good for is not there to be tried again.
func TestS3Error(t *testing.T) {
	denied := minio.ErrorResponse{StatusCode: http.StatusForbidden, Code: minio.AccessDenied}
	if err := s3Error(denied); !errors.Is(err, fs.ErrPermission) || isUnclear(denied) || isConflict(denied) {
		t.Errorf("%v", err)
	}
	if err := s3Error(minio.ErrorResponse{StatusCode: http.StatusTeapot}); errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v", err)
	}
}
