#!/bin/bash
# Builds weir.deb, weir-server.deb, weir-register.deb and weir-agent.deb into a folder (dist): scripts/packages.sh [folder].
# The same commit gives the same bytes: times are the commit's, owners are root, order is fixed.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-dist}
: "${GO:=go}"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
arch=$(dpkg --print-architecture)

# v1.2.3-4-gabcdef becomes 1.2.3+4.gabcdef; before the first release all versions are older than any.
version=${VERSION:-$(git describe --tags --match 'v[0-9]*' 2>/dev/null | sed -e 's/^v//' -e 's/-\([0-9]*\)-g/+\1.g/' -e 's/-/~/g' || true)}
if [ -z "$version" ]; then
	version="0~$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%dT%H%M%S).$(git rev-parse --short=12 HEAD)"
fi
if [ -z "${VERSION:-}" ] && [ -n "$(git status --porcelain --untracked-files=no)" ]; then
	version="$version+changed"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
mkdir -p "$out"

program=${WEIR:-$work/program}
if [ -z "${WEIR:-}" ]; then
	CGO_ENABLED=0 "$GO" build -trimpath -ldflags "-s -w -X main.version=$version" -o "$program" ./cmd/weir
fi

# unit SOURCE TREE puts a unit where packages have them.
unit() {
	install -d "$2/usr/lib/systemd/system"
	sed 's|/usr/local/bin/weir|/usr/bin/weir|' "$1" >"$2/usr/lib/systemd/system/$(basename "$1")"
}

# documents PACKAGE TREE adds what every package must have.
documents() {
	local doc="$2/usr/share/doc/$1"
	install -d "$doc"
	install -m 0644 LICENSE "$doc/copyright"
	printf '%s (%s) unstable; urgency=medium\n\n  * %s\n\n -- Weir <weir@localhost>  %s\n' \
		"$1" "$version" "Built from commit $(git rev-parse --short=12 HEAD)." "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" |
		gzip -9n >"$doc/changelog.gz"
}

# package NAME builds one out of its tree.
package() {
	local name=$1 tree="$work/$1"
	documents "$name" "$tree"
	install -d "$tree/DEBIAN"
	{
		echo "Version: $version"
		echo "Architecture: $arch"
		echo "Maintainer: Weir <weir@localhost>"
		echo "Section: net"
		echo "Priority: optional"
		echo "Installed-Size: $(find "$tree" -path "$tree/DEBIAN" -prune -o -type f -printf '%s\n' | awk '{kib += int($1 / 1024) + 1} END {print kib}')"
	} >"$work/fields"
	awk -v RS= -v name="$name" '$2 == name' deploy/debian/control |
		sed -e "1r $work/fields" -e "s/@VERSION@/$version/" >"$tree/DEBIAN/control"
	for script in postinst prerm postrm; do
		if [ -f "deploy/debian/$name.$script" ]; then
			install -m 0755 "deploy/debian/$name.$script" "$tree/DEBIAN/$script"
		fi
	done
	if [ -d "$tree/etc" ]; then
		(cd "$tree" && find etc -type f | LC_ALL=C sort | sed 's|^|/|') >"$tree/DEBIAN/conffiles"
	fi
	(cd "$tree" && find usr -type f | LC_ALL=C sort | xargs md5sum) >"$tree/DEBIAN/md5sums"
	find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb --root-owner-group -Zgzip --build "$tree" "$out/${name}_${version}_$arch.deb" >/dev/null
	echo "$out/${name}_${version}_$arch.deb"
}

install -D -m 0755 "$program" "$work/weir/usr/bin/weir"
install -d "$work/weir/usr/share/bash-completion/completions"
"$program" completion bash >"$work/weir/usr/share/bash-completion/completions/weir"
install -D -m 0644 -t "$work/weir/usr/share/doc/weir" README.md docs/operating.md docs/reference.md docs/cli.md docs/architecture.md
unit deploy/weir-server.service "$work/weir-server"
install -D -m 0644 deploy/debian/server.env "$work/weir-server/etc/weir/server.env"
unit deploy/weir-register.service "$work/weir-register"
install -d "$work/weir-register/etc/weir"
unit deploy/weir-agent@.service "$work/weir-agent"
install -D -m 0644 deploy/takeover.conf "$work/weir-agent/usr/share/doc/weir-agent/examples/takeover.conf"
install -D -m 0644 deploy/haproxy-ticket-keys.conf "$work/weir-agent/usr/share/doc/weir-agent/examples/haproxy-ticket-keys.conf"
for name in weir weir-server weir-register weir-agent; do
	package "$name"
done
