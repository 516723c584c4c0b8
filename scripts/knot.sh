#!/usr/bin/env bash
# Gets the newest Knot DNS 3.x into .tools/knot, the name server that tests of dns-01 challenges run against.
set -euo pipefail

# shellcheck source=scripts/debian.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/debian.sh"
offer knot knot 3 usr/sbin/knotd --version

case ${1:-} in
'') provide 0 knot ;;
--update) provide 1 knot ;;
*)
	printf 'usage: scripts/knot.sh            make sure that .tools/knot is there (quick when it is)\n       scripts/knot.sh --update   the same, and look for newer packages first\n' >&2
	exit 2
	;;
esac
