#!/bin/sh
# Sees to the peers of the benchmark that come as system packages: nginx and
# wrk, besides cp, sync and openssl. Installs what is missing where it may, and
# says what to do where it may not.
set -eu
PATH=$PATH:/usr/sbin:/sbin
missing=
for program in nginx wrk openssl; do
	command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "bench: not installed:$missing (on Debian: apt-get install nginx-light wrk openssl)" >&2
	exit 1
fi
packages=$(echo "$missing" | sed 's/nginx/nginx-light/')
echo "== install$missing from Debian"
limit=
command -v timeout >/dev/null 2>&1 && limit='timeout -k 10 600'
# RUNLEVEL=1 keeps the package from starting a server of its own.
export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # words are wanted
{ $limit apt-get -q update && $limit apt-get -qy install --no-install-recommends $packages; } >/dev/null
