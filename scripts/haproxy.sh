#!/usr/bin/env bash
# Gets the newest HAProxy 3.4.x and 3.2.x as Debian packages of newer suites and unpacks
# them into .tools/haproxy-3.4 and .tools/haproxy-3.2, each with its own C library.
# Nothing on the system is read but its apt sources, and nothing on it is changed.
set -euo pipefail
umask 022

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

versions=(3.4 3.2)
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
tools=$root/.tools
cache=$tools/cache
work=

say() { printf 'haproxy.sh: %s\n' "$*" >&2; }
die() {
	say "$*"
	exit 1
}

need() {
	local c
	for c in "$@"; do
		command -v "$c" >/dev/null || die "$c is not on this machine: install it, or run this on Debian (apt, dpkg and util-linux are needed)"
	done
}

# --- which mirror -----------------------------------------------------------------

# Reads apt source files of both formats; prints «rank TAB uri TAB keyring TAB trusted» for
# each entry that is Debian's own archive. Others (Docker's, a vendor's) also end in /debian,
# so the component and the suite must fit as well.
parse_sources() {
	awk -v codename="$1" '
		function fits(uri, suites, comps,    n, i, s, ok) {
			if ((" " comps " ") !~ / main /) return 0
			n = split(suites, s, " ")
			for (i = 1; i <= n; i++)
				if (s[i] == codename || s[i] ~ /^(oldstable|stable|testing|unstable|sid)$/) ok = 1
			return ok && uri !~ /^(cdrom|file|copy):/
		}
		function emit(uris, suites, comps, key, trusted,    n, i, u, rank) {
			n = split(uris, u, " ")
			for (i = 1; i <= n; i++) {
				if (!fits(u[i], suites, comps)) continue
				if (u[i] ~ /\/debian(\.list)?\/?$/) rank = 1
				else if (key ~ /debian-archive/) rank = 2
				else continue
				printf "%d\t%s\t%s\t%s\n", rank, u[i], key, trusted
			}
		}
		function flush() {
			if (f["types"] ~ /(^| )deb( |$)/ && tolower(f["enabled"]) !~ /^(no|false|0)$/)
				emit(f["uris"], f["suites"], f["components"], f["signed-by"], f["trusted"])
			delete f; field = ""
		}
		function oneline(line,    opts, o, n, i, a, key, trusted, comps) {
			sub(/#.*/, "", line); sub(/^[ \t]*deb[ \t]+/, "", line)
			if (match(line, /^\[[^]]*\]/)) {
				opts = substr(line, 2, RLENGTH - 2); line = substr(line, RLENGTH + 1)
				n = split(opts, o, " ")
				for (i = 1; i <= n; i++) {
					if (tolower(o[i]) ~ /^signed-by=/) key = substr(o[i], 11)
					if (tolower(o[i]) ~ /^trusted=/) trusted = substr(o[i], 9)
				}
			}
			n = split(line, a, " ")
			for (i = 3; i <= n; i++) comps = comps " " a[i]
			emit(a[1], a[2], comps, key, trusted)
		}
		FNR == 1 { flush() }
		FILENAME !~ /\.sources$/ { if ($1 == "deb") oneline($0); next }
		/^[ \t]*$/ { flush(); next }
		/^#/ { next }
		/^[ \t]/ { sub(/^[ \t]+/, ""); f[field] = f[field] " " $0; next }
		{
			i = index($0, ":"); field = tolower(substr($0, 1, i - 1))
			v = substr($0, i + 1); gsub(/^[ \t]+|[ \t]+$/, "", v); f[field] = v
		}
		END { flush() }
	' "${@:2}"
}

# Sets mirror, keyring and trusted.
find_mirror() {
	mirror='' keyring='' trusted=''
	if [[ -n ${WEIR_DEBIAN_MIRROR:-} ]]; then
		mirror=$WEIR_DEBIAN_MIRROR
	else
		need apt-config awk
		local list='' parts='' codename='' files=() shell_out found
		shell_out=$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)
		eval "$shell_out"
		[[ -r /etc/os-release ]] && codename=$(. /etc/os-release && printf %s "${VERSION_CODENAME:-}")
		[[ -r $list ]] && files+=("$list")
		if [[ -d $parts ]]; then
			local f
			for f in "$parts"/*.list "$parts"/*.sources; do [[ -r $f ]] && files+=("$f"); done
		fi
		found=
		((${#files[@]})) && found=$(parse_sources "$codename" "${files[@]}" | sort -s -n -k1,1 | sed -n 1p)
		[[ -n $found ]] || die "no Debian archive in the machine's apt sources (${files[*]:-none}): set WEIR_DEBIAN_MIRROR to the address of a Debian mirror, as WEIR_DEBIAN_MIRROR=http://…/debian"
		# Not read with IFS=TAB: bash merges neighbouring tabs, and a keyring may be empty.
		mirror=$(cut -f2 <<<"$found") keyring=$(cut -f3 <<<"$found") trusted=$(cut -f4 <<<"$found")
	fi
	# A key written inside the sources file, or none: Debian's own keyring.
	if [[ $keyring != /* ]]; then
		keyring=
		local k
		for k in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
			[[ -r $k ]] && keyring=$k && break
		done
	fi
	return 0
}

# --- apt, with folders of our own -------------------------------------------------

apt_setup() {
	need apt-get apt-cache dpkg dpkg-deb sha256sum flock awk
	apt_dir=$work/apt
	mkdir -p "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial"
	: >"$apt_dir/status"
	{
		printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$mirror" "$*"
		printf 'Architectures: %s\nTargets: Packages\nLanguages: none\nPDiffs: no\n' "$(dpkg --print-architecture)"
		[[ -z $keyring ]] || printf 'Signed-By: %s\n' "$keyring"
		[[ -z $trusted ]] || printf 'Trusted: %s\n' "$trusted"
	} >"$apt_dir/weir.sources"
	# The machine's own apt configuration stays in force (a proxy, say) but for what would
	# choose other versions or run commands on the system after an update.
	cat >"$apt_dir/apt.conf" <<END
Dir::Etc::sourcelist "$apt_dir/weir.sources";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "-";
Dir::State::Lists "$apt_dir/lists";
Dir::State::status "$apt_dir/status";
Dir::Cache "$apt_dir/cache";
APT::Default-Release "";
APT::Sandbox::User "$(id -un)";
Acquire::Retries "2";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
END
}

apt_run() {
	local tool=$1
	shift
	"$tool" -c "$apt_dir/apt.conf" "$@"
}

# refresh SUITE… fetches the package lists; false when the mirror does not have one.
refresh() {
	apt_setup "$@"
	apt_run apt-get -qq -o APT::Update::Error-Mode=any update >"$work/apt.log" 2>&1
}

# newest SERIES prints the newest packaged version of HAProxy SERIES.x, or nothing.
newest() {
	local best='' v
	while read -r v; do
		[[ $v =~ ^([0-9]+:)?${1//./\\.}\.[0-9] ]] || continue
		if [[ -z $best ]] || dpkg --compare-versions "$v" gt "$best"; then best=$v; fi
	done < <(apt_run apt-cache madison haproxy 2>/dev/null | awk -F'|' '{gsub(/ /, "", $2); print $2}')
	printf %s "$best"
}

# closure PACKAGE[=VERSION]… prints them and the shared libraries they need, whole tree.
# Only packages of libraries are followed: the rest of what they ask for belongs to a system.
closure() {
	local todo=("$@") seen=" " out=() next p
	while ((${#todo[@]})); do
		next=()
		for p in "${todo[@]}"; do
			[[ $seen == *" ${p%%=*} "* ]] && continue
			seen+="${p%%=*} "
			out+=("$p")
			next+=("$p")
		done
		((${#next[@]})) || break
		mapfile -t todo < <(apt_run apt-cache show --no-all-versions "${next[@]}" 2>/dev/null |
			awk '/^(Pre-)?Depends:/ {
				sub(/^[^:]*:/, ""); n = split($0, d, ",")
				for (i = 1; i <= n; i++) {
					sub(/^[ ]+/, "", d[i]); sub(/[ :(|].*/, "", d[i])
					if (d[i] ~ /^(lib|zlib)/ && d[i] !~ /^libc-/) print d[i]
				}
			}' | sort -u)
	done
	printf '%s\n' "${out[@]}"
}

# --- packages into the cache ------------------------------------------------------

# download SERIES fetches its packages into the cache and writes the list of them last, so
# that a list always stands for packages that are whole.
download() {
	local series=$1 version packages uris fresh name
	version=$(newest "$series")
	[[ -n $version ]] || return 1
	# patchelf comes along: the folder can then be patched again when it has been moved.
	mapfile -t packages < <(closure "haproxy=$version" patchelf)
	say "HAProxy $version: ${#packages[@]} packages"
	fresh=$work/debs-$series
	mkdir -p "$fresh"
	uris=$(apt_run apt-get -qq download --print-uris "${packages[@]}" 2>"$work/apt.log") || apt_failed "ask for"
	mapfile -t names < <(awk '{print $2}' <<<"$uris")
	for name in "${names[@]}"; do
		[[ -f $cache/$name ]] && cp -p -- "$cache/$name" "$fresh/"
	done
	(cd "$fresh" && apt_run apt-get -qq download "${packages[@]}" >"$work/apt.log" 2>&1) || apt_failed "download"
	(cd "$fresh" && sha256sum -- *.deb) >"$work/$series.sha256"
	mv -f -- "$fresh"/*.deb "$cache/"
	mv -f -- "$work/$series.sha256" "$cache/haproxy-$series.sha256"
}

apt_failed() {
	sed 's/^/  /' "$work/apt.log" >&2
	die "cannot $1 packages from $mirror: check the network and the mirror (scripts/haproxy.sh --mirror), then run this again"
}

cached() {
	[[ -s $cache/haproxy-$1.sha256 ]] && (cd "$cache" && sha256sum --status -c "haproxy-$1.sha256" 2>/dev/null)
}

fetch() {
	local wanted=("$@") series missing
	find_mirror
	say "fetching package lists from $mirror"
	refresh sid experimental || apt_failed "list"
	missing=()
	for series in "${wanted[@]}"; do download "$series" || missing+=("$series"); done
	((${#missing[@]})) || return 0
	# A series moves through the suites as it ages.
	refresh sid experimental testing || apt_failed "list"
	for series in "${missing[@]}"; do
		download "$series" || die "no HAProxy $series at $mirror in sid, experimental or testing: the mirror may be old; name another with WEIR_DEBIAN_MIRROR"
	done
}

prune_cache() {
	local f
	for f in "$cache"/*.deb; do
		grep -qsF -- "  ${f##*/}" "$cache"/*.sha256 || rm -f -- "$f"
	done
}

# --- a folder per version ---------------------------------------------------------

only() { # only FOLDER FIND-ARGUMENTS… prints the one file that fits
	local found
	found=$(find "$@" -print | sort | sed -n 1p)
	[[ -n $found ]] || die "the packages hold no file like «${*:2}»: their layout has changed, and scripts/haproxy.sh must follow it"
	printf %s "$found"
}

# patch FOLDER HOME makes FOLDER's HAProxy run with the libraries of HOME, where FOLDER is
# or is about to be. The path becomes part of the binary.
patch() {
	local dir=$1 home=$2 loader libs bin=$1/usr/sbin/haproxy
	loader=$(only "$dir" -path '*/lib/*' -name 'ld*.so.[0-9]*')
	libs=$(dirname "$loader")
	"$loader" --library-path "$libs" "$dir/usr/bin/patchelf" \
		--set-interpreter "$home${loader#"$dir"}" --set-rpath "$home${libs#"$dir"}" --force-rpath \
		--output "$bin.patched" "$bin"
	"$loader" --library-path "$libs" "$bin.patched" -v >/dev/null ||
		die "the unpacked HAProxy does not start: a library may be missing (see above)"
	mv -f -- "$bin.patched" "$bin"
	printf '%s\n' "$home" >"$dir/.patched-for"
}

ready() {
	local dir=$tools/haproxy-$1
	[[ -x $dir/usr/sbin/haproxy && $(cat -- "$dir/.patched-for" 2>/dev/null) == "$dir" ]]
}

# unpack SERIES builds the folder beside its place and renames it, so that nobody ever sees
# half a folder.
unpack() {
	local series=$1 dir=$tools/haproxy-$1 new=$work/haproxy-$1 deb
	rm -rf -- "$new"
	mkdir -p "$new"
	while read -r _ deb; do
		dpkg-deb -x "$cache/$deb" "$new" || die "cannot unpack $deb: remove .tools/cache and run this again"
	done <"$cache/haproxy-$series.sha256"
	patch "$new" "$dir"
	cp -- "$cache/haproxy-$series.sha256" "$new/.packages"
	if [[ -e $dir ]]; then mv -- "$dir" "$work/old-$series"; fi
	mv -- "$new" "$dir"
	"$dir/usr/sbin/haproxy" -v | sed -n 1p >&2
}

place() {
	local series=$1 dir=$tools/haproxy-$1
	ready "$series" && cmp -s "$cache/haproxy-$series.sha256" "$dir/.packages" && return
	if [[ -f $dir/.packages && -x $dir/usr/bin/patchelf ]] && cmp -s "$cache/haproxy-$series.sha256" "$dir/.packages"; then
		say "haproxy-$series was moved: patching it for its new place"
		patch "$dir" "$dir"
	else
		unpack "$series"
	fi
}

provide() {
	local update=$1 series wanted=() all=1
	shift
	if ((!update)); then
		for series in "$@"; do ready "$series" || all=0; done
		((all)) && return
	fi
	[[ $tools != *[:\"\\]* ]] || die "$tools: a folder with a colon, a quote or a backslash in its path cannot be put into a binary's library path; use another folder"
	mkdir -p "$cache" || die "cannot write to $tools"
	need flock sha256sum dpkg-deb
	exec 9>"$tools/.lock" || die "cannot write to $tools"
	flock -n 9 || {
		say "waiting for another run"
		flock 9
	}
	rm -rf -- "$tools"/.new-*
	work=$(mktemp -d "$tools/.new-XXXXXX")
	chmod 755 "$work"
	trap 'rm -rf -- "$work"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	for series in "$@"; do
		if ((update)) || ! cached "$series"; then wanted+=("$series"); fi
	done
	if ((${#wanted[@]})); then fetch "${wanted[@]}"; fi
	for series in "$@"; do place "$series"; done
	prune_cache
}

# --- the demo's choice ------------------------------------------------------------

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
	provide 0 3.4
	printf '%s\n' "$tools/haproxy-3.4/usr/sbin/haproxy"
}

case ${1:-} in
'') provide 0 "${versions[@]}" ;;
--update) provide 1 "${versions[@]}" ;;
--path) print_path ;;
--mirror) find_mirror && printf '%s\n' "$mirror" ;;
-h | --help) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
