package receipts

import (
	"airlock/feed"
	"airlock/signing"
)

// Rows returns the receipts of a feed that count, from an entry on, in order:
// what feed.Follower.Statements reads again.
func Rows(x *feed.Index, from int64) []feed.Row {
	var rows []feed.Row
	for row := range x.Rows(from) {
		if isReceipt(row) {
			rows = append(rows, row)
		}
	}
	return rows
}

func isReceipt(row feed.Row) bool {
	return row.Void == "" && row.What == feed.IsOther && row.Ref.Kind == string(signing.Receipt)
}
