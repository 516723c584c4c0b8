#!/usr/bin/env bash
# usage: scripts/fuzz.sh TIME
# Fuzzes each fuzz target of the module for TIME (as 30s or 2m), one after another.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
time=${1:?usage: scripts/fuzz.sh TIME}
status=0
packages=$(go list ./...)
while read -r package; do
	targets=$(go test -list '^Fuzz' "$package") || status=1
	while read -r target; do
		printf 'fuzz %s %s for %s\n' "$package" "$target" "$time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" || status=1
	done < <(grep '^Fuzz' <<<"$targets" || true)
done <<<"$packages"
exit "$status"
