#!/bin/sh
# Repeats the checks of an audit of {{.Space}}, made {{.Made}}, with sh,
# cosign 3.0.6 or later, openssl 3 and sha256sum alone; no network is used. It
# ends with exit code 0 only if every check of every file passes.
#
# It believes the lineages and the time authority that it prints at the end. That
# they are the right ones only their people can say: compare them.
set -u
case $0 in */*) cd "${0%/*}/" || exit 1 ;; esac
stop() { echo "FAILED: $*" >&2; exit 1; }
for tool in cosign openssl sha256sum; do
  command -v "$tool" >/dev/null || stop "$tool is not installed here: nothing was checked"
done

# 1. The folder is as it was written: each file, and no other. SHA256SUMS is held
# against its digest, since it could be changed with the files. This file is held
# against the digest that README.txt speaks of, by you.
sha256sum -c --strict --status <<'END' || stop 'SHA256SUMS is not what was written'
{{.Sums}}  SHA256SUMS
END
sha256sum -c --strict --quiet SHA256SUMS >&2 || stop 'a file is not what was written'
[ "$(find . ! -type d | wc -l)" -eq $(({{.Files}} + 2)) ] || stop 'there are more or fewer files than were written'

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
bad=0
fail() { bad=$((bad + 1)); echo "FAILED: $*" >&2; [ ! -s "$tmp/said" ] || tail -n 3 "$tmp/said" >&2; }
try() { what=$1; shift; "$@" >"$tmp/said" 2>&1 || fail "$what"; : >"$tmp/said"; }
part() { sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p' "$2"; } # a text in a JSON file
pem() { echo '-----BEGIN CERTIFICATE-----'; tr -d '\n' | fold -w 64; echo; echo '-----END CERTIFICATE-----'; }
pae() { printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$(wc -c <"$1")"; cat "$1"; } # DSSE v1
digest() { openssl dgst -sha256 -r | cut -c 1-64; }

# 2. Who the Spaces are: the lineage is the digest of the first identity. Each
# identity names its root and the digest of the next root's key.
cat >"$tmp/lineages" <<'END'
{{.Lineages}}
END
try 'an identity is not of the lineage' sha256sum -c --strict --quiet "$tmp/lineages"
while read -r _ document; do
  space=${document#identities/}; space=${space%.1.json}; n=1; key=; next=
  while [ -f "$document" ]; do
    part root "$document" | pem >"$tmp/root"
    was=$key; key=$(openssl x509 -in "$tmp/root" -noout -pubkey 2>"$tmp/said" | openssl pkey -pubin -outform DER 2>>"$tmp/said" | digest)
    [ "$n" -eq 1 ] || [ "$key" = "$was" ] || try "$document: its root is not the next of the identity before" [ "sha256:$key" = "$next" ]
    try "$document: its root" openssl verify -no_check_time -check_ss_sig -CAfile "$tmp/root" "$tmp/root"
    next=$(part next "$document")
    cat "$tmp/root" >>"$tmp/$space.pem"
    n=$((n + 1)); document=identities/$space.$n.json
  done
done <"$tmp/lineages"

# 3. What other files speak of: signed by a certificate of its Space and about it.
# First the opening of the log, which names the key by which cosign believes it,
# then each publication that a receipt names: its name is the digest of what was
# signed.
signed() {
  pae "$1.json" >"$tmp/pae"
  openssl x509 -in "$1.pem" -noout -pubkey >"$tmp/key" 2>"$tmp/said" || fail "$1.pem: no certificate"
  try "$1: signature" openssl dgst -sha256 -verify "$tmp/key" -signature "$1.sig" "$tmp/pae"
  try "$1: certificate" openssl verify -no_check_time -CAfile "$tmp/$2.pem" "$1.pem"
  try "$1: is not of $2" grep -qF "\"lineage\":\"sha256:$(digest <"identities/$2.1.json")\"" "$1.json"
}
signed opening '{{.File}}'
try 'opening: is not of this log' grep -qF '"origin":"{{.Origin}}"' opening.json
key=$(part logKey opening.json)
cat >"$tmp/log" <<END
{
  "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
  "tlogs": [
    {
      "baseUrl": "https://{{.Origin}}",
      "hashAlgorithm": "SHA2_256",
      "publicKey": {
        "rawBytes": "MCowBQYDK2VwAyEA$key",
        "keyDetails": "PKIX_ED25519",
        "validFor": {
          "start": "2020-01-01T00:00:00Z"
        }
      },
      "logId": {
        "keyId": "$({ printf '{{.Origin}}\n\001'; printf %s "$key" | openssl base64 -d -A; } | openssl dgst -sha256 -binary | openssl base64 -A)"
      }
    }
  ],
END
try 'trusted_root.json: has other logs than the one that was opened' [ "$(head -n "$(wc -l <"$tmp/log")" trusted_root.json)" = "$(cat "$tmp/log")" ]
while read -r id space; do
  signed "publications/$id" "$space"
  try "publications/$id: is not the statement of that name" [ "$(digest <"$tmp/pae")" = "$id" ]
done <publications.list

# 4. Each receipt: certificate, signature, time stamp and the log's proof by
# cosign; the stamp again by openssl; what it says of package and publication.
n=0
while read -r entry manifest publication stamped issuer; do
  n=$((n + 1)); r=receipts/$entry
  if [ -f "subjects/$manifest" ]; then set -- "subjects/$manifest"; else set -- --digest "$manifest" --digestAlg sha256; fi
  try "$r: cosign" cosign verify-blob-attestation --bundle "$r.sigstore.json" --trusted-root trusted_root.json \
    --type https://airlock.example/receipt/v1 --certificate-identity 'space://{{.Space}}' --certificate-oidc-issuer "$issuer" --insecure-ignore-sct "$@"
  part rawBytes "$r.sigstore.json" | pem >"$tmp/leaf"
  try "$r: certificate" openssl verify -no_check_time -CAfile "$tmp/{{.File}}.pem" "$tmp/leaf"
  try "$r: time stamp" openssl ts -verify -data "$r.sig" -in "$r.tsr" -CAfile tsa-roots.pem -attime "$stamped"
  try "$r.sig: is not the signature of the receipt" [ "$(part sig "$r.sigstore.json")" = "$(openssl base64 -A -in "$r.sig")" ]
  try "$r.tsr: is not the stamp of the receipt" [ "$(part signedTimestamp "$r.sigstore.json")" = "$(openssl base64 -A -in "$r.tsr")" ]
  part payload "$r.sigstore.json" | openssl base64 -d -A >"$tmp/payload" 2>"$tmp/said" || fail "$r: payload"
  try "$r: names another publication" grep -qF "\"statement\":\"sha256:$publication\"" "$tmp/payload"
  # cosign makes the log's entry of these, and takes the root from the checkpoint:
  # what stands beside them must say the same.
  printf '{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"%s"},"signature":{"content":"%s","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","x509Certificate":{"rawBytes":"%s"}}}}}}' \
    "$(pae "$tmp/payload" | openssl dgst -sha256 -binary | openssl base64 -A)" "$(part sig "$r.sigstore.json")" "$(part rawBytes "$r.sigstore.json")" | openssl base64 -A >"$tmp/entry"
  try "$r: is not what the log's entry says" [ "$(part canonicalizedBody "$r.sigstore.json")" = "$(cat "$tmp/entry")" ]
  try "$r: is not of the checkpoint's root" grep -qF "\\n$(part treeSize "$r.sigstore.json")\\n$(part rootHash "$r.sigstore.json")\\n" "$r.sigstore.json"
  [ -f "publications/$publication.json" ] || echo "note: $r: its publication is not in this folder"
done <receipts.list
try 'receipts.list is not whole' [ "$n" -eq {{.Receipts}} ]

[ "$bad" -eq 0 ] || { echo "$bad checks failed" >&2; exit 1; }
echo "$n receipts of {{.Space}}: every check passed. Compare with their people:"
sed 's/^/  lineage sha256:/' "$tmp/lineages"
awk -v at="$tmp/authority" '/-----BEGIN/ { n++ } n { print >(at "." n) }' tsa-roots.pem
for authority in "$tmp"/authority.*; do
  openssl x509 -in "$authority" -noout -subject -fingerprint -sha256 | sed 's/^/  time authority /'
done
