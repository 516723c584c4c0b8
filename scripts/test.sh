#!/usr/bin/env bash
# usage: scripts/test.sh RACE FIRST FLAG…
# Runs all tests with the flags of go test; the packages of the list RACE (below internal/) under the race detector,
# beside the others, and of the others the packages of the list FIRST at first, since they take longest.
# Both parts run to their ends and tell at the end what failed. A part in which at most three tests failed runs those
# once more, by themselves, and says so: one that passes then wants mending, but holds nobody up. Tests
# that raced for data do not get that. Scripts of the console do so within their run.
# Lint has vetted everything: go test need not again.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

race=() first=()
for name in $1; do [[ ! -d internal/$name ]] || race+=("./internal/$name"); done
for name in $2; do [[ ! -d $name ]] || first+=("./$name"); done
shift 2

# In variables first: a list that fails must end this script, not shorten the tests.
all=$(go list "${first[@]}" ./...)
raced=none
((!${#race[@]})) || raced=$(go list "${race[@]}")
mapfile -t rest < <(awk '!seen[$0]++' <<<"$all" | grep -vxFf <(printf '%s\n' "$raced"))

# run PACKAGES FLAG…
run() {
	local packages=$1 again status=0
	shift
	again=$(mktemp)
	.tools/bin/gotestsum --format pkgname --format-hide-empty-pkg --hide-summary skipped \
		--rerun-fails=1 --rerun-fails-max-failures=3 --rerun-fails-abort-on-data-race --rerun-fails-run-root-test \
		--rerun-fails-report "$again" --packages "$packages" -- -vet=off "$@" || status=$?
	if [[ -s $again ]]; then
		echo "Tests that failed and ran again:"
		cat -- "$again"
	fi
	rm -f -- "$again"
	return "$status"
}

status=0 beside=
if ((${#race[@]})); then
	out=$(mktemp) races=$(mktemp -d)
	trap 'kill -INT -- "-$beside" 2>/dev/null || true; rm -rf -- "$out" "$races"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	set -m # a process group of its own, which Ctrl-C here has to end
	# Reports go into files: a test may be over, and its output dropped, when the detector speaks.
	GORACE="log_path=$races/report" run "${race[*]}" -race "$@" -p 1 >"$out" 2>&1 &
	beside=$!
	set +m
fi
run "${rest[*]}" "$@" || status=1
if [[ $beside ]]; then
	wait "$beside" || status=1
	cat -- "$out"
	if compgen -G "$races/*" >/dev/null; then
		cat -- "$races"/*
		status=1 # whatever passed when it ran again
	fi
fi
[[ ! -s web/results/again.txt ]] || cat web/results/again.txt
exit "$status"
