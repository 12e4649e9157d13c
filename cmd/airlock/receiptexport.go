package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"airlock/feed"
	"airlock/receipts"
)

func (a *app) receiptExportCommand() *cobra.Command {
	var from, out string
	c := &cobra.Command{
		Use:   "export ORGANISATION/SPACE ENTRY",
		Short: "Write a receipt for stock tools, with its time stamp and the log's proof",
		Long: `Write a receipt as a Sigstore bundle: the signed statement with its certificate,
its time stamp and the proof that the log holds it. airlock receipt list shows
the entries. cosign checks all of it:

  airlock trust export ORGANISATION/SPACE --tsa-certs tsa-root.pem -o trusted_root.json
  cosign verify-blob-attestation --bundle B --trusted-root trusted_root.json \
    --type https://airlock.example/receipt/v1 --digest MANIFEST --digestAlg sha256 \
    --certificate-identity space://ORGANISATION/SPACE \
    --certificate-oidc-issuer ISSUER --insecure-ignore-sct`,
		Example:           `  airlock receipt export acme/production 2 -o receipt.sigstore.json`,
		Args:              exactly(2, "a Space and an entry"),
		ValidArgsFunction: a.completeTrusted,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.receiptExport(cmd.Context(), args[0], args[1], from, out)
		},
	}
	fromFlag(c, &from)
	c.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	return c
}

// receiptsFeed is the receipts feed of a Space, which may be named by the feed.
func receiptsFeed(space string) (feed.ID, error) {
	id, err := feed.ParseID(strings.TrimSuffix(space, "/"+receipts.Feed) + "/" + receipts.Feed)
	if err != nil {
		return id, usage("%.200q is no Space", "name it like acme/production", space)
	}
	return id, nil
}

func (a *app) receiptExport(ctx context.Context, space, entry, from, out string) error {
	id, err := receiptsFeed(space)
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(entry, 10, 64)
	if err != nil || index < 0 {
		return usage("entry %.40q is no number", "airlock receipt list "+id.Space.String()+" shows the entries", entry)
	}
	o, err := a.openFeed(ctx, id, from)
	if err != nil {
		return err
	}
	defer o.Close()
	rows := receipts.Rows(o.state.Index, index)
	if len(rows) == 0 || rows[0].Index != index {
		return &failure{code: exitFailed, what: fmt.Sprintf("entry %d of %s is no receipt", index, id),
			hint: "airlock receipt list " + id.Space.String() + " shows the entries"}
	}
	att, _, err := o.verified(ctx, rows[0])
	if err != nil {
		return err
	}
	b, err := o.withProof(ctx, rows[0], att)
	if err != nil {
		return err
	}
	return a.writeOutput(out, bytes.NewReader(b))
}
