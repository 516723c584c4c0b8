#!/usr/bin/env bash
# Gets HashiCorp's double of Consul's API into .tools/consul, for tests of internal/discovery/consul. No Consul server is
# to be had as a package. What is taken, to the byte, stands in scripts/consul/package-lock.json.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

if (($#)); then
	printf 'usage: scripts/consul.sh            make sure that .tools/consul is there (quick when it is)\n' >&2
	exit 2
fi
die() {
	printf 'consul.sh: %s\n' "$*" >&2
	exit 1
}

ready() { cmp -s scripts/consul/package-lock.json .tools/consul/package-lock.json; }

! ready || exit 0
for c in flock node npm; do
	command -v "$c" >/dev/null || die "$c is not on this machine: install it (nodejs and npm are needed for HashiCorp's double of Consul)"
done
mkdir -p .tools
exec 9>.tools/.lock-consul
flock 9
! ready || exit 0
work=$(mktemp -d .tools/consul.XXXXXX)
trap 'rm -rf -- "$work"' EXIT
cp scripts/consul/package.json "$work"
cp scripts/consul/package-lock.json "$work"
npm ci --prefix "$work" --ignore-scripts --no-audit --no-fund --loglevel=error >&2 ||
	die "npm could not get the packages (see above): look whether it reaches a registry"
chmod 755 "$work"
rm -rf .tools/consul
mv -T -- "$work" .tools/consul
