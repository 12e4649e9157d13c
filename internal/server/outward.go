package server

import (
	"errors"

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
		{log.ErrClosed, feedhttp.ErrClosing},
	} {
		if errors.Is(err, row.inner) {
			return &renamed{err, row.outer}
		}
	}
	if e, ok := errors.AsType[*log.OpenedError](err); ok {
		return &feedhttp.ConflictError{Why: e.Error()}
	}
	if e, ok := errors.AsType[*log.EpochError](err); ok {
		return &feedhttp.ConflictError{Why: e.Error()}
	}
	if e, ok := errors.AsType[*storage.OffsetError](err); ok {
		return &feedhttp.OffsetError{Want: e.Want}
	}
	if _, ok := errors.AsType[*storage.BusyError](err); ok {
		return &renamed{err, feedhttp.ErrBusy}
	}
	return err
}

// renamed is an error that also matches the transport's word for it.
type renamed struct {
	error
	outer error
}

func (r *renamed) Unwrap() []error { return []error{r.error, r.outer} }
