# Gets programs as Debian packages of newer suites and unpacks each into a folder of .tools, with
# its own C library. Nothing on the system is read but its apt sources, and nothing on it is changed.
# To be sourced by the scripts that get something: bash with set -euo pipefail.
# shellcheck shell=bash
umask 022

# What can be had: a folder's name, the Debian package, the series of versions, the binary that is
# made to run from the folder, what makes that tell its version, and packages that come along.
declare -A package_of series_of binary_of version_flag_of along_of
offered=()
offer() {
	offered+=("$1")
	package_of[$1]=$2 series_of[$1]=$3 binary_of[$1]=$4 version_flag_of[$1]=$5 along_of[$1]=${*:6}
}
offer haproxy-3.4 haproxy 3.4 usr/sbin/haproxy -v
offer haproxy-3.2 haproxy 3.2 usr/sbin/haproxy -v
offer etcd etcd-server 3 usr/bin/etcd --version
offer knot knot 3 usr/sbin/knotd --version
offer promtool promtool 3 usr/bin/promtool --version
offer zookeeper libzookeeper-java 3 \
	"usr/lib/jvm/java-21-openjdk-$(dpkg --print-architecture 2>/dev/null || echo none)/bin/java" --version \
	openjdk-21-jre-headless libslf4j-java libdropwizard-metrics-java libsnappy-java libnetty-java
offer chromium chromium-headless-shell '[0-9]+' usr/lib/chromium/chromium-headless-shell --version \
	chromium-common fonts-dejavu-core fonts-dejavu-mono

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
# Its real path too: work trees that share one folder by a link must not patch it back and forth.
tools=$root/.tools
[[ ! -d $tools ]] || tools=$(cd -- "$tools" && pwd -P)
cache=$tools/cache
work=

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
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
	# choose other versions, run commands on the system after an update, or (as images for
	# containers do) have every command read the lists anew, a second each.
	cat >"$apt_dir/apt.conf" <<END
Dir::Etc::sourcelist "$apt_dir/weir.sources";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "-";
Dir::State::Lists "$apt_dir/lists";
Dir::State::status "$apt_dir/status";
Dir::Cache "$apt_dir/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
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

# newest NAME prints the newest packaged version of its series, or nothing.
newest() {
	local best='' v series=${series_of[$1]}
	while read -r v; do
		[[ $v =~ ^([0-9]+:)?${series//./\\.}\.[0-9] ]] || continue
		if [[ -z $best ]] || dpkg --compare-versions "$v" gt "$best"; then best=$v; fi
	done < <(apt_run apt-cache madison "${package_of[$1]}" 2>/dev/null | awk -F'|' '{gsub(/ /, "", $2); print $2}')
	printf %s "$best"
}

# closure PACKAGE[=VERSION]… prints them and the shared libraries they need, whole tree.
# Only packages of libraries are followed: the rest of what they ask for belongs to a system. Java's
# are not: they lead to half of the archive, and so those that are needed come along by name.
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
					if (d[i] ~ /^(lib|zlib)/ && d[i] !~ /^libc-|-java$/) print d[i]
				}
			}' | sort -u)
	done
	printf '%s\n' "${out[@]}"
}

# --- packages into the cache ------------------------------------------------------

# download NAME fetches its packages into the cache and writes the list of them last, so
# that a list always stands for packages that are whole.
download() {
	local wanted=$1 version packages along uris fresh name
	version=$(newest "$wanted")
	[[ -n $version ]] || return 1
	# patchelf comes along: the folder can then be patched again when it has been moved.
	read -ra along <<<"${along_of[$wanted]}"
	mapfile -t packages < <(closure "${package_of[$wanted]}=$version" "${along[@]}" patchelf)
	say "${package_of[$wanted]} $version: ${#packages[@]} packages"
	fresh=$work/debs-$wanted
	mkdir -p "$fresh"
	uris=$(apt_run apt-get -qq download --print-uris "${packages[@]}" 2>"$work/apt.log") || apt_failed "ask for"
	mapfile -t names < <(awk '{print $2}' <<<"$uris")
	for name in "${names[@]}"; do
		[[ -f $cache/$name ]] && cp -p -- "$cache/$name" "$fresh/"
	done
	(cd "$fresh" && apt_run apt-get -qq download "${packages[@]}" >"$work/apt.log" 2>&1) || apt_failed "download"
	(cd "$fresh" && sha256sum -- *.deb) >"$work/$wanted.sha256"
	mv -f -- "$fresh"/*.deb "$cache/"
	mv -f -- "$work/$wanted.sha256" "$cache/$wanted.sha256"
}

apt_failed() {
	sed 's/^/  /' "$work/apt.log" >&2
	die "cannot $1 packages from $mirror: check the network and the mirror (scripts/haproxy.sh --mirror prints it), then run this again"
}

cached() {
	[[ -s $cache/$1.sha256 ]] && (cd "$cache" && sha256sum --status -c "$1.sha256" 2>/dev/null)
}

fetch() {
	local wanted=("$@") name missing
	find_mirror
	say "fetching package lists from $mirror"
	refresh sid experimental || apt_failed "list"
	missing=()
	for name in "${wanted[@]}"; do download "$name" || missing+=("$name"); done
	((${#missing[@]})) || return 0
	# A series moves through the suites as it ages.
	refresh sid experimental testing || apt_failed "list"
	for name in "${missing[@]}"; do
		download "$name" || die "no package ${package_of[$name]} ${series_of[$name]} at $mirror in sid, experimental or testing: the mirror may be old; name another with WEIR_DEBIAN_MIRROR"
	done
}

prune_cache() {
	local f
	for f in "$cache"/*.deb; do
		grep -qsF -- "  ${f##*/}" "$cache"/*.sha256 || rm -f -- "$f"
	done
}

# --- a folder per name ------------------------------------------------------------

only() { # only FOLDER FIND-ARGUMENTS… prints the one file that fits
	local found
	found=$(find "$@" -print | sort | sed -n 1p)
	[[ -n $found ]] || die "the packages hold no file like «${*:2}»: their layout has changed, and scripts/debian.sh must follow it"
	printf %s "$found"
}

# patch NAME FOLDER HOME makes the binary in FOLDER run with the libraries of HOME, where FOLDER
# is or is about to be. The path becomes part of the binary, and of those libraries that look for
# others in folders of their own.
patch() {
	local dir=$2 home=$3 loader libs own lib folder seen bin=$2/${binary_of[$1]}
	loader=$(only "$dir" -path '*/lib/*' -name 'ld*.so.[0-9]*')
	libs=$(dirname "$loader")
	# Where the binary looks beside itself (Java's libjli) it goes on looking.
	own=$("$loader" --library-path "$libs" "$dir/usr/bin/patchelf" --print-rpath "$bin" | tr : '\n' | sed -n 's/^\$ORIGIN/:&/p' | tr -d '\n')
	"$loader" --library-path "$libs" "$dir/usr/bin/patchelf" \
		--set-interpreter "$home${loader#"$dir"}" --set-rpath "$home${libs#"$dir"}$own" --force-rpath \
		--output "$bin.patched" "$bin"
	seen=$libs
	while IFS= read -r lib; do
		folder=$("$loader" --library-path "$libs" "$dir/usr/bin/patchelf" --print-rpath "$lib" 2>/dev/null) || continue
		[[ $folder =~ ^/[^:]*(/usr/lib/[^:]*)|^(/usr/lib/[^:]*) ]] || continue
		folder=${BASH_REMATCH[1]}${BASH_REMATCH[2]}
		seen+=:$dir$folder
		"$loader" --library-path "$libs" "$dir/usr/bin/patchelf" --set-rpath "$home$folder:$home${libs#"$dir"}" "$lib"
	done < <(find "$libs" -maxdepth 1 -type f -name '*.so.*')
	"$loader" --library-path "$seen" "$bin.patched" "${version_flag_of[$1]}" >/dev/null ||
		die "the unpacked ${package_of[$1]} does not start: a library may be missing (see above)"
	mv -f -- "$bin.patched" "$bin"
	printf '%s\n' "$home" >"$dir/.patched-for"
}

ready() {
	local dir=$tools/$1
	[[ -x $dir/${binary_of[$1]} && $(cat -- "$dir/.patched-for" 2>/dev/null) == "$dir" ]]
}

# inward FOLDER makes links to what would lie in / on a system (Java's settings in /etc) lead to the same in the folder.
inward() {
	local link to
	while IFS= read -r link; do
		to=$(readlink -- "$link")
		[[ ! -e $1$to && ! -L $1$to ]] || ln -srfnT -- "$1$to" "$link"
	done < <(find "$1" -type l -lname '/*')
}

# unpack NAME builds the folder beside its place and renames it, so that nobody ever sees
# half a folder.
unpack() {
	local name=$1 dir=$tools/$1 new=$work/$1 deb
	rm -rf -- "$new"
	mkdir -p "$new"
	while read -r _ deb; do
		dpkg-deb -x "$cache/$deb" "$new" || die "cannot unpack $deb: remove .tools/cache and run this again"
	done <"$cache/$name.sha256"
	inward "$new"
	patch "$name" "$new" "$dir"
	cp -- "$cache/$name.sha256" "$new/.packages"
	if [[ -e $dir ]]; then mv -- "$dir" "$work/old-$name"; fi
	mv -- "$new" "$dir"
	"$dir/${binary_of[$name]}" "${version_flag_of[$name]}" | sed -n 1p >&2
}

place() {
	local name=$1 dir=$tools/$1
	ready "$name" && cmp -s "$cache/$name.sha256" "$dir/.packages" && return
	if [[ -f $dir/.packages && -x $dir/usr/bin/patchelf ]] && cmp -s "$cache/$name.sha256" "$dir/.packages"; then
		say "$name was moved: patching it for its new place"
		patch "$name" "$dir" "$dir"
	else
		unpack "$name"
	fi
}

# provide UPDATE NAME… makes sure that the folders are there; UPDATE 1 looks for newer packages first.
provide() {
	local update=$1 name wanted=() all=1
	shift
	if ((!update)); then
		for name in "$@"; do ready "$name" || all=0; done
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
	for name in "$@"; do
		if ((update)) || ! cached "$name"; then wanted+=("$name"); fi
	done
	if ((${#wanted[@]})); then fetch "${wanted[@]}"; fi
	for name in "$@"; do place "$name"; done
	prune_cache
}
