#!/usr/bin/env bash
# Gets the newest HAProxy 3.4.x and 3.2.x into .tools/haproxy-3.4 and .tools/haproxy-3.2.
set -euo pipefail

usage() {
	cat <<'END'
usage: scripts/haproxy.sh            make sure that both versions are in .tools (quick when they are)
       scripts/haproxy.sh --update   the same, and look for newer packages first
       scripts/haproxy.sh --path     print the HAProxy that the demo uses: $HAPROXY, else the
                                     machine's if it is 3.2 or newer, else .tools/haproxy-3.4
       scripts/haproxy.sh --mirror   print the Debian mirror that packages would come from

WEIR_DEBIAN_MIRROR=http://…/debian names the mirror when the machine's apt sources name none.
END
}

# shellcheck source=scripts/debian.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/debian.sh"

# at_least_32 BINARY tells whether it is an HAProxy of 3.2 or newer.
at_least_32() {
	local v
	v=$("$1" -v 2>/dev/null) || return 1
	[[ $v =~ version\ ([0-9]+)\.([0-9]+) ]] || return 1
	((BASH_REMATCH[1] > 3 || (BASH_REMATCH[1] == 3 && BASH_REMATCH[2] >= 2)))
}

print_path() {
	local bin
	if [[ -n ${HAPROXY:-} ]]; then
		bin=$(command -v -- "$HAPROXY") || die "HAPROXY=$HAPROXY is not a program: name the binary, or unset HAPROXY"
		at_least_32 "$bin" || die "HAPROXY=$HAPROXY is not HAProxy 3.2 or newer: name another, or unset HAPROXY"
		[[ $bin == /* ]] || bin=$PWD/$bin
		printf '%s\n' "$bin"
		return
	fi
	for bin in "$(command -v haproxy || true)" /usr/sbin/haproxy /usr/local/sbin/haproxy; do
		[[ -n $bin && -x $bin ]] || continue
		if at_least_32 "$bin"; then
			printf '%s\n' "$bin"
			return
		fi
	done
	provide 0 haproxy-3.4
	printf '%s\n' "$tools/haproxy-3.4/usr/sbin/haproxy"
}

case ${1:-} in
'') provide 0 haproxy-3.4 haproxy-3.2 ;;
--update) provide 1 haproxy-3.4 haproxy-3.2 ;;
--path) print_path ;;
--mirror) find_mirror && printf '%s\n' "$mirror" ;;
-h | --help) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
