// Package feedhttp is a feed over HTTP, both ends: Handler serves a Reader and
// a Writer, Client is a feed.Source and a feed.Publisher.
//
// # Reading
//
// {F} is /v1/feeds/<organisation>/<space>/<feed>. It is itself the prefix of a
// log in the form of C2SP tlog-tiles, so that any client of that form can read
// it. <N> is a number in that form's path encoding (1234067 is
// x001/x234/067); ".p/<W>" after it asks for the first W of 256, and
// ".p/<K>-<W>" for these without the first K.
//
//	GET {F}/checkpoint              the signed note; ETag "<size>-<first 16 hex digits of the root>"
//	GET {F}/tile/<L>/<N>[.p/<W>]    hashes
//	GET {F}/tile/entries/<N>[.p/<W>]    log entries
//	GET {F}/segment/<N>[.p/[<K>-]<W>]    statements, see feed.Segment
//	GET {F}/pack/<N>[.p/[<K>-]<W>]  the small objects they speak of, see feed.Pack
//	GET {F}/object/<64 hex>         an object that the feed speaks of; ranges (RFC 9110,
//	                                section 14); with ?payload= one that helps to read it
//	GET, PUT {F}/audience           who reads the feed, see Audience
//	POST /v1/heads                  {"known":{"acme/dev-qa/shared":12},"wait":55} → {"heads":{…}}, the notes of
//	                                those that differ; with "wait" as soon as one does, or after so many seconds
//	GET /v1/                        {"api","logKey","name","version"}
//	GET /v1/feeds                   {"feeds":["acme/dev-qa/shared"]}; with ?space=acme/dev-qa&space=… of
//	                                those Spaces alone, in order of their names
//
// Segments and packs come with content coding zstd (RFC 8878) to who takes it.
//
// # Writing
//
//	POST {F}/entries        a batch, see BatchMediaType → the Accepted document
//	POST {F}/uploads        statements and manifests → {"missing":[…]}
//	HEAD {F}/uploads/<hex>  → Upload-Offset
//	PATCH {F}/uploads/<hex> with Upload-Offset and the bytes from there
//
//	POST /v1/join           a JoinRequest → the Admission
//	POST /v1/identities     the identity file of an admitted Space → {"version":3}
//
// Names of the upload's fields are those of draft-ietf-httpbis-resumable-upload.
// A batch that names objects which are not there yet is answered with the
// problem "objects-missing", which lists them.
//
// Servers of one store know each other by a token of their own. They pass batches
// on with the field X-Airlock-Forwarded, and tell of what was committed:
//
//	POST /v1/grown          {"known":{"acme/dev-qa/shared":13},"wait":0}
//
// # Refusals
//
// Every refusal is a problem document (RFC 9457); problem.go has the one table
// from error to status and type, which both ends share: errors.Is and
// errors.As see on the client's side what the server's side returned.
package feedhttp
