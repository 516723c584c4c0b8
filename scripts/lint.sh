#!/usr/bin/env bash
# Checks the form of the code with the tools that make tools has built. Every check runs,
# so that one run shows everything there is to mend.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
bin=$PWD/.tools/bin
bad=0

unformatted=$("$bin/gofumpt" -l .) || bad=1
if [[ -n $unformatted ]]; then
	printf 'not formatted with gofumpt (make fmt mends it):\n%s\n' "$unformatted" >&2
	bad=1
fi
go vet ./... || bad=1
"$bin/staticcheck" ./... || bad=1
for f in scripts/*.sh .ci/run; do
	bash -n "$f" || bad=1
done
exit "$bad"
