#!/usr/bin/env bash
# Reads the output of the benches and prints only their figures, «name value unit», on
# standard output; everything else goes to standard error, where a failure can be seen.
set -euo pipefail
exec awk '
	/^ *[a-z][a-z0-9_]* -?[0-9][0-9.e+-]* [^ ]+$/ { sub(/^ +/, ""); print; fflush(); next }
	{ print > "/dev/stderr" }'
