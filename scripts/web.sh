#!/usr/bin/env bash
# usage: scripts/web.sh build   make the console that the program serves, if what it is made of has changed
#        scripts/web.sh check   look at its types and run its unit tests
# Packages come from where npm on this machine gets them, at the versions of web/package-lock.json.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../web"

for program in node npm; do
	command -v "$program" >/dev/null || {
		echo "web.sh: $program is not on this machine: install Node.js 20.19 or newer to build the console (apt install nodejs npm)" >&2
		exit 1
	}
done

# Two at a time would write over each other.
mkdir -p ../.tools
exec 9>../.tools/.lock-web
flock 9

# same NAME FILE… tells whether the files are as they were when NAME was made; made NAME FILE… notes that they are.
stamp() { sha256sum -- "$@" | sha256sum; }
same() { [[ -f $1 && $(<"$1") == "$(stamp "${@:2}")" ]]; }
made() { stamp "${@:2}" >"$1"; }

packages=(package.json package-lock.json .npmrc)
if ! same node_modules/.made "${packages[@]}"; then
	npm ci --no-progress --loglevel=error
	made node_modules/.made "${packages[@]}"
fi

mapfile -t sources < <(find src public -type f | sort)
sources+=(index.html vite.config.ts svelte.config.js tsconfig.json "${packages[@]}")
case ${1:-} in
build)
	same node_modules/.built "${sources[@]}" && [[ -f ../internal/console/dist/index.html ]] && exit
	npx --no-install vite build --logLevel warn
	made node_modules/.built "${sources[@]}"
	;;
check)
	mapfile -t -O "${#sources[@]}" sources < <(find browser -type f | sort)
	same node_modules/.checked "${sources[@]}" && exit
	npx --no-install svelte-check --tsconfig ./tsconfig.json --fail-on-warnings --output human
	npx --no-install vitest run --passWithNoTests
	made node_modules/.checked "${sources[@]}"
	;;
*)
	sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
