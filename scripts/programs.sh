#!/usr/bin/env bash
# Gets what tests hold Weir against into .tools, each in a folder of its own.
set -euo pipefail

usage() {
	cat <<'END'
usage: scripts/programs.sh             make sure that all programs are in .tools (quick when they are)
       scripts/programs.sh NAME…       only these: haproxy-3.4 haproxy-3.2 etcd knot promtool zookeeper chromium
       scripts/programs.sh --update …  the same, and look for newer packages first
END
}

# shellcheck source=scripts/debian.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/debian.sh"

update=0
if [[ ${1:-} == --update ]]; then
	update=1
	shift
fi
(($#)) || set -- "${offered[@]}"
for name in "$@"; do
	[[ -n ${package_of[$name]:-} ]] && continue
	usage >&2
	exit 2
done
provide "$update" "$@"
