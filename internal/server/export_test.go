package server

import "airlock/feed/feedhttp"

// WithQueue makes all work of a server wait in one queue.
func (s *Server) WithQueue(q *feedhttp.Queue) { s.verifying, s.storing = q, q }
