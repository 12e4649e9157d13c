package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/minio/minio-go/v7"
)

// tooLong is a stored value that is longer than any can be.
type tooLong struct{ size, limit int64 }

func (e *tooLong) Error() string {
	return fmt.Sprintf("has %d bytes, at most %d can be", e.size, e.limit)
}

// s3Status returns the HTTP status of an answer, 0 where none came.
func s3Status(err error) int {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		return answer.StatusCode
	}
	return 0
}

// isUnclear reports that a request may or may not have taken effect: no answer
// came, or the server gave up half-way.
func isUnclear(err error) bool {
	if long := (*tooLong)(nil); errors.As(err, &long) || isS3Full(err) {
		return false
	}
	status := s3Status(err)
	return status == 0 || status >= 500 && status != http.StatusNotImplemented ||
		status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
}

// isConflict reports that a condition did not hold. Some stores answer 409 to
// writers at once, and 404 to a condition on what is not there.
func isConflict(err error) bool {
	switch s3Status(err) {
	case http.StatusPreconditionFailed, http.StatusConflict:
		return true
	case http.StatusNotFound:
		return minio.ToErrorResponse(err).Code != minio.NoSuchBucket
	}
	return false
}

// isS3Full reports a full store; Amazon's never is.
func isS3Full(err error) bool {
	if s3Status(err) == http.StatusInsufficientStorage {
		return true
	}
	switch minio.ToErrorResponse(err).Code {
	case "XMinioStorageFull", "StorageFull", "InsufficientStorage", "NoSpaceLeftOnDevice", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded":
		return true
	}
	return false
}

// isNobodys reports an access key that the store does not know. Amazon says 403 to it;
// versitygw says 404 and a code of its own.
func isNobodys(err error) bool {
	switch minio.ToErrorResponse(err).Code {
	case minio.InvalidAccessKeyID, "XAdminUserNotFound":
		return true
	}
	return false
}

// s3Error makes an answer match the errors of the ports.
func s3Error(err error) error {
	switch {
	case err == nil:
		return nil
	case isS3Full(err):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case isNobodys(err):
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	case minio.ToErrorResponse(err).Code == minio.AuthorizationHeaderMalformed: // signed for another region
		return &SettingError{err.Error(), "set AIRLOCK_S3_REGION to the region of the bucket"}
	case minio.ToErrorResponse(err).Code == minio.NoSuchBucket:
		return fmt.Errorf("%w: %w", ErrNoBucket, err)
	case s3Status(err) == http.StatusNotFound && isConflict(err):
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case s3Status(err) == http.StatusForbidden:
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	case isUnclear(err) && !errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return err
}
