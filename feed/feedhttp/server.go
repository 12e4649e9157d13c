package feedhttp

import (
	"log/slog"
	"net/http"
)

// Server returns an HTTP server for a handler, with the handler's limits. Its
// Shutdown wakes long polls; the handler still has to be closed afterwards.
func Server(h *Handler) *http.Server {
	s := &http.Server{
		Handler:           h,
		MaxHeaderBytes:    int(h.limits().HeaderBytes),
		ReadHeaderTimeout: h.limits().HeaderTime,
		IdleTimeout:       h.limits().IdleTime,
		// Bodies and long polls move these two on as they proceed.
		WriteTimeout:                 h.limits().MaxWait + 2*h.limits().Grace,
		ErrorLog:                     slog.NewLogLogger(h.logger.Handler(), slog.LevelDebug),
		DisableGeneralOptionsHandler: true,
	}
	s.RegisterOnShutdown(h.Drain)
	return s
}
