// Package bundle carries feeds in files, cut into volumes that fit a medium,
// between Spaces that have no network between them. A [Bundle] is a feed.Source:
// taking one in is following a feed, by the same checks as over a network.
//
// # Making one
//
// [Prepare] reads what is to be carried and says all sizes before a byte is
// written; [Write] writes the volumes, and goes on where an earlier run ended.
// What is carried of a feed is a [Slice]: all statements from what the receiver
// has up to the newest checkpoint, and of the packages that they publish what is
// live and what the receiver does not hold; what it holds is named. Filters drop
// payloads only.
//
// # What a volume is
//
// A volume is a tar file:
//
//	frame      manifest.json, attestation.json, tables.bin, padding, volume.txt
//	area       parts/<part, 7 digits>.<slice, 4 digits>, or parity/<4 digits>
//	frame      the same again, each name behind "copy/"
//	1024 zeros
//
// The frame is the same in all volumes but for volume.txt, so each volume says
// what the bundle is, and which ones are missing. Headers are ustar: mode 0444,
// the date of creation, no owner.
//
// The areas of the volumes, one after the other, are one run of tar entries: the
// parts, in the order of [Tables]. A part is cut where an area ends, and after
// 1 GiB. Where everything lies follows from document and tables, and a reader
// asks nothing else: neither tar headers nor file names lead anywhere. Of every
// block of the run the tables hold the SHA-256; everything else of a volume
// follows from document, tables and statement, and Verify compares it.
//
// # Who says so
//
// The document binds all bytes, the creator signs its SHA-256 (a statement of
// kind bundle). That proves for whom the bundle was made and that it is whole.
// It never stands for the content: statements and payloads are checked as from
// any source.
//
// # Encryption
//
// With a recipient every part is an age file of its own. Document and tables
// stay readable: whoever holds the medium sees for whom it is, how much is in
// it, and digests. Parts are encrypted before parity is made and digests are
// taken, so a damaged bundle is repaired without the key.
//
// # Parity
//
// Reed–Solomon over GF(2^8) (polynomial 0x11d, the systematic form of a
// Vandermonde matrix): block i of the data belongs to group i mod groups, and
// each group has as many parity blocks as Parity.Shards. The last block counts as
// filled with zeros, and so do blocks that a group lacks. Parity block p of group
// g is block p·groups + g of the parity. Neighbouring blocks are in different
// groups, so a lost volume and damage in one place both spread over all groups.
//
// # Streams
//
// What a server pushes over a line is a [Stream]: the parts of one feed, without
// volumes. [WriteStream] writes it as it reads, [ReadStream] makes a feed.Source of
// it.
package bundle
