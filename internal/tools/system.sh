#!/bin/sh
# system.sh PROGRAM[=PACKAGE]…: sees to programs that come as system packages,
# the peers of the benchmark and strangers' tools. Installs what is missing
# where it may, and says what to do where it may not. The package has the
# program's name where none is given.
set -eu
PATH=$PATH:/usr/sbin:/sbin
missing=
for wanted in "$@"; do
	command -v "${wanted%%=*}" >/dev/null 2>&1 || missing="$missing ${wanted#*=}"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "not installed:$missing (on Debian: apt-get install$missing)" >&2
	exit 1
fi
echo "== install$missing from Debian"
limit=
command -v timeout >/dev/null 2>&1 && limit='timeout -k 10 600'
# RUNLEVEL=1 keeps the packages from starting servers of their own.
export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # words are wanted
{ $limit apt-get -q update && $limit apt-get -qy install --no-install-recommends $missing; } >/dev/null
