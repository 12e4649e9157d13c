package storage

import (
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestS3Error: what credentials are not good for is not there to be tried again.
func TestS3Error(t *testing.T) {
	denied := minio.ErrorResponse{StatusCode: http.StatusForbidden, Code: minio.AccessDenied}
	if err := s3Error(denied); !errors.Is(err, fs.ErrPermission) || isUnclear(denied) || isConflict(denied) {
		t.Errorf("%v", err)
	}
	unknown := minio.ErrorResponse{StatusCode: http.StatusNotFound, Code: "XAdminUserNotFound"}
	if err := s3Error(unknown); !errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key that nobody has: %v", err)
	}
	elsewhere := minio.ErrorResponse{StatusCode: http.StatusBadRequest, Code: "AuthorizationHeaderMalformed", Message: "expecting us-west-2"}
	if set := (*SettingError)(nil); !errors.As(s3Error(elsewhere), &set) || !strings.Contains(set.Do, "AIRLOCK_S3_REGION") {
		t.Errorf("another region: %v", s3Error(elsewhere))
	}
	if err := s3Error(minio.ErrorResponse{StatusCode: http.StatusTeapot}); errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v", err)
	}
}
