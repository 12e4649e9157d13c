package server

import (
	"errors"
	"fmt"

	"airlock/feed/feedhttp"
	"airlock/feed/log"
	"airlock/storage"
)

// outward turns errors of the log and the store into those that the transport
// knows, so that they mean the same at the other end.
func outward(err error) error {
	for _, row := range []struct{ inner, outer error }{
		{log.ErrForeignKey, feedhttp.ErrForeignLog},
		{log.ErrWentBack, feedhttp.ErrWentBack},
		{log.ErrBusy, feedhttp.ErrBusy},
	} {
		if errors.Is(err, row.inner) {
			return fmt.Errorf("%w: %w", row.outer, err)
		}
	}
	if e, ok := errors.AsType[*log.OpenedError](err); ok {
		return &feedhttp.ConflictError{Why: e.Error()}
	}
	if e, ok := errors.AsType[*storage.OffsetError](err); ok {
		return &feedhttp.OffsetError{Want: e.Want}
	}
	if _, ok := errors.AsType[*storage.BusyError](err); ok {
		return fmt.Errorf("%w: %w", feedhttp.ErrBusy, err)
	}
	return err
}
