package bundle

import (
	"airlock/feed"
	"airlock/feed/feedtest"
	"airlock/signing"
	"airlock/storage"
	"airlock/trust"
)

// exampleDocument is a document of one feed, signed by nobody.
func exampleDocument() *Document {
	id := feed.ID{Space: trust.Space{Organisation: "acme", Name: "dev-qa"}, Name: "shared"}
	c, err := feedtest.Key(1).Sign(id.Origin(1), 1, feed.Edge{}.Root())
	if err != nil {
		panic(err)
	}
	return &Document{
		APIVersion: apiVersion, Kind: documentKind, Created: signing.FormatTime(feedtest.Now), Block: 512,
		Audience: Party{trust.Lineage(storage.Digest{1}), "acme/production"}, Creator: Party{trust.Lineage(storage.Digest{2}), "acme/dev-qa"},
		Feeds:   []Slice{{Epoch: 1, Feed: id, Lineage: trust.Lineage(storage.Digest{2}), Note: string(c.Note), To: 1}},
		Volumes: Volumes{Area: 1024, Count: 1},
	}
}
