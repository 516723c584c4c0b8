#!/usr/bin/env bash
# usage: scripts/test.sh PACKAGE… -- FLAG…
# Runs all tests with the flags of go test; those of the packages named (below internal/)
# under the race detector. Both parts run, so that one run shows every failure.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

race=()
while (($#)) && [[ $1 != -- ]]; do
	[[ -d internal/$1 ]] && race+=("./internal/$1")
	shift
done
shift

# In variables first: a list that fails must end this script, not shorten the tests.
all=$(go list ./...)
raced=
if ((${#race[@]})); then raced=$(go list "${race[@]}"); fi
mapfile -t rest < <(grep -vxFf <(printf '%s\n' "${raced:-none}") <<<"$all")

status=0
go test "$@" "${rest[@]}" || status=1
if ((${#race[@]})); then go test -race "$@" "${race[@]}" || status=1; fi
exit "$status"
