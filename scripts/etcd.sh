#!/usr/bin/env bash
# Gets the newest etcd 3.x into .tools/etcd, for tests against a cluster outside the control plane.
set -euo pipefail

# shellcheck source=scripts/debian.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/debian.sh"
offer etcd etcd-server 3 usr/bin/etcd --version

case ${1:-} in
'') provide 0 etcd ;;
--update) provide 1 etcd ;;
*)
	printf 'usage: scripts/etcd.sh            make sure that .tools/etcd is there (quick when it is)\n       scripts/etcd.sh --update   the same, and look for newer packages first\n' >&2
	exit 2
	;;
esac
