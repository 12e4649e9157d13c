// Package settings is how a server is configured: one struct that says for each
// setting what it is, what it takes and what it is without a word. The flags of
// airlock serve, its configuration file, the example of one and the reference in
// docs/configuration.md are all made of it.
//
// A new setting is a new field with its tags; see Field.
package settings

import (
	"net/netip"
	"time"

	"airlock/feed/feedhttp"
)

// Document is the kind of the document that a configuration file is.
const Document = "Server"

// Server are the settings of a server.
type Server struct {
	Listen    string `form:"address" about:"address to listen on; port 0 chooses a free one"`
	Advertise string `form:"url" about:"URL at which other servers of the store reach this one" without:"that of listen, on loopback" example:"https://10.0.0.1:7070" more:"Https, where they hold it to the TLS key that it shows, or http on loopback. Without one it works alone."`
	Store     string `form:"store" flag:"store" common:"true" about:"what it serves: a folder, or s3://bucket/prefix" without:"the folder store of the home" example:"s3://bucket/airlock" more:"How a bucket is reached, and with which keys, the environment says: AIRLOCK_S3_ENDPOINT, AIRLOCK_S3_REGION, AIRLOCK_S3_ACCESS_KEY, AIRLOCK_S3_SECRET_KEY."`
	Access    string `words:"open,credentials" about:"who may ask: open or credentials" without:"open on loopback, credentials elsewhere" example:"credentials" more:"With open, who shows no credential reads what every admitted Space may, and brings what a Space signed; it is refused where others than this machine reach the server."`

	TLS  TLS  `about:"Without mode and cert it speaks plain HTTP, for this machine or a proxy on it."`
	Logs Logs `about:"A log is a file, - for standard error, or none."`

	Cache        int64         `positive:"true" about:"memory for cached objects"`
	CommitWindow time.Duration `most:"10s" about:"how long a commit waits for more; 20ms suits distant stores"`
	Drain        time.Duration `most:"1h" about:"how long it goes on answering when it is stopped, while /readyz says so: for a proxy to notice"`

	Tracing Tracing `about:"Which requests OpenTelemetry traces are made of, and where these are sent, by OTLP over HTTP."`

	Push   Push            `about:"How feeds are pushed to the inboxes of Spaces; to which, airlock server push says. One server of a store pushes at a time."`
	Limits feedhttp.Limits `positive:"true" hidden:"true" live:"true" about:"What a client may send and hold. Who asks for more is refused, and told so."`
}

// TLS says which certificate a server shows.
type TLS struct {
	Mode string `flag:"tls" words:"self" about:"with self it shows a certificate of its own, which clients pin" example:"self" more:"Its key is made out of the operator's log key, so all servers of an operator show the same one."`
	Cert string `live:"true" form:"file" about:"certificate chain in PEM" example:"chain.pem"`
	Key  string `live:"true" form:"file" about:"private key in PEM" example:"key.pem"`
}

// Tracing says where traces go.
type Tracing struct {
	Endpoint string  `form:"url" about:"collector to which traces of requests are sent" example:"http://127.0.0.1:4318" more:"Without one there are none. It is the URL below which v1/traces lies."`
	Sample   float64 `about:"share of requests that are traced" more:"A request that another server of the store passed on is traced where it was there, and one of an administrator as its traceparent says."`
}

// Push says how a server pushes.
type Push struct {
	To     []netip.Prefix `about:"addresses to which it may push, besides public ones" example:"10.0.0.0/8" more:"Loopback is not public either."`
	GiveUp time.Duration  `positive:"true" about:"how long a push that fails is tried again"`
}

// Self is what TLS.Mode says for the certificate that is made from the log key.
const Self = "self"

// Logs says where logs go.
type Logs struct {
	Access string `flag:"access-log" form:"log" about:"the access log, a line of JSON for each request; - for standard error, none for nowhere"`
	Audit  string `flag:"audit-log" form:"log" about:"the audit log, a line of JSON for each change, also a refused one" without:"audit.log in the home" example:"audit.log"`
}

// What Server.Access may say.
const (
	Open        = "open"
	Credentials = "credentials"
)

// Default returns the settings of a server to which nothing was said.
func Default() Server {
	return Server{Listen: "127.0.0.1:7070", Logs: Logs{Access: "-"}, Cache: 64 << 20, Tracing: Tracing{Sample: 1}, Push: Push{GiveUp: 24 * time.Hour}, Limits: feedhttp.DefaultLimits()}
}
