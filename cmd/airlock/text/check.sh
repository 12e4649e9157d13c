#!/bin/sh
# Repeats the checks of an audit of {{.Space}}, made {{.Made}}, with sh,
# cosign 3.0.6 or later, openssl 3 and sha256sum alone; no network is used. It
# ends with exit code 0 only if every check of every file passes.
#
# It believes the certificates in this folder. That they are the right ones only
# their people can say: compare the digests that it prints at the end with them.
set -u
cd "$(dirname "$0")" || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
bad=0
fail() { bad=$((bad + 1)); echo "FAILED: $*" >&2; [ ! -s "$tmp/said" ] || tail -n 3 "$tmp/said" >&2; }
try() { what=$1; shift; "$@" >"$tmp/said" 2>&1 || fail "$what"; : >"$tmp/said"; }

# 1. The folder is as it was written: each file, and no other. SHA256SUMS is held
# against its digest, since it could be changed with the files.
echo '{{.Sums}}  SHA256SUMS' >"$tmp/sums"
try 'SHA256SUMS is not what was written' sha256sum -c --strict "$tmp/sums"
try 'a file is not what was written' sha256sum -c --strict --quiet SHA256SUMS
[ "$(find . ! -type d | wc -l)" -eq $(({{.Files}} + 2)) ] || fail 'there are more or fewer files than were written'

# 2. Who the Spaces are: the lineage is the digest of the first identity, and each
# identity names its root.
cat >"$tmp/lineages" <<'END'
{{.Lineages}}
END
try 'an identity is not of the lineage' sha256sum -c --strict --quiet "$tmp/lineages"
for document in identities/*; do
  sed -n 's/.*"root":"\([^"]*\)".*/\1/p' "$document" >"$tmp/root"
  space=${document#identities/}; space=${space%.*.json}
  tr -d '\n' <"roots/$space.pem" >"$tmp/pem"
  try "roots/$space.pem: lacks the root of $document" grep -qF -f "$tmp/root" "$tmp/pem"
  [ "$space" != '{{.File}}' ] || try "trusted_root.json: lacks the root of $document" grep -qF -f "$tmp/root" trusted_root.json
done

# 3. Each publication that a receipt names: signed by a certificate of its
# Space, and its name is the digest of what was signed (DSSE v1, PAE).
while read -r id space; do
  p=publications/$id
  { printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$(wc -c <"$p.json")"; cat "$p.json"; } >"$tmp/pae"
  openssl x509 -in "$p.pem" -noout -pubkey >"$tmp/key" 2>"$tmp/said" || fail "$p.pem: no certificate"
  try "$p: is not the statement of that name" [ "$(openssl dgst -sha256 -r "$tmp/pae" | cut -c 1-64)" = "$id" ]
  try "$p: signature" openssl dgst -sha256 -verify "$tmp/key" -signature "$p.sig" "$tmp/pae"
  try "$p: certificate" openssl verify -no_check_time -CAfile "roots/$space.pem" "$p.pem"
done <publications.list

# 4. Each receipt: certificate, signature, time stamp and the log's proof by
# cosign; the stamp again by openssl; what it says of package and publication.
n=0
while read -r entry manifest publication stamped issuer; do
  n=$((n + 1)); r=receipts/$entry
  if [ -f "subjects/$manifest" ]; then set -- "subjects/$manifest"; else set -- --digest "$manifest" --digestAlg sha256; fi
  try "$r: cosign" cosign verify-blob-attestation --bundle "$r.sigstore.json" --trusted-root trusted_root.json \
    --type https://airlock.example/receipt/v1 --certificate-identity 'space://{{.Space}}' --certificate-oidc-issuer "$issuer" --insecure-ignore-sct "$@"
  try "$r: time stamp" openssl ts -verify -data "$r.sig" -in "$r.tsr" -CAfile tsa-roots.pem -attime "$stamped"
  try "$r.sig: is not the signature of the receipt" grep -qF "\"sig\":\"$(openssl base64 -A -in "$r.sig")\"" "$r.sigstore.json"
  try "$r.tsr: is not the stamp of the receipt" grep -qF "\"signedTimestamp\":\"$(openssl base64 -A -in "$r.tsr")\"" "$r.sigstore.json"
  sed -n 's/.*"payload":"\([^"]*\)".*/\1/p' "$r.sigstore.json" | openssl base64 -d -A >"$tmp/payload" 2>"$tmp/said" || fail "$r: payload"
  try "$r: names another publication" grep -qF "\"statement\":\"sha256:$publication\"" "$tmp/payload"
  [ -f "publications/$publication.json" ] || echo "note: $r: its publication is not in this folder"
done <receipts.list
try 'receipts.list is not whole' [ "$n" -eq {{.Receipts}} ]

[ "$bad" -eq 0 ] || { echo "$bad checks failed" >&2; exit 1; }
echo "$n receipts of {{.Space}}: every check passed. Compare with their people:"
sed 's/^/  lineage sha256:/' "$tmp/lineages"
openssl x509 -in tsa-roots.pem -noout -subject -fingerprint -sha256 | sed 's/^/  time authority /'
