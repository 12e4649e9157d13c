package feedhttp

import (
	"log/slog"
	"net/http"
)

// Server returns an HTTP server for a handler, with the handler's limits. Its
// Shutdown wakes long polls; the handler still has to be closed afterwards. It speaks
// HTTP/1.1 alone, with TLS too: agents have one connection each and wait on it, which
// takes a third more memory by HTTP/2.
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
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	s.RegisterOnShutdown(h.Drain)
	return s
}
