#!/usr/bin/env bash
# Fetches what the tests of the snippets compile with, from the package registries, into .venv:
#   c       header (npm tfjs-tflite-node) and library (PyPI pymicro-wakeword) of the TFLite C API
#   kotlin  compiler (npm kotlin-compiler, 90 MB); needs Java
# Usage: tests/support/fetch_snippet_tools.sh c|kotlin
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=.venv/snippet-tools
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT
mkdir -p "$tools"

unpacked() { # NAME VERSION: an npm package's files under $parts/package
	npm pack --silent --pack-destination "$parts" "$1@$2" >"$parts/packed"
	tar -xzf "$parts/$1-$2.tgz" -C "$parts"
}

case "${1:-}" in
c)
	# the header says 2.9; the functions that a snippet calls have not changed since
	unpacked tfjs-tflite-node 0.0.2
	.venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps \
		--dest "$parts" pymicro-wakeword==2.5.0
	.venv/bin/python -m zipfile -e "$parts"/pymicro_wakeword-*.whl "$parts/wheel"
	rm -rf "$tools/tflite-c"
	mkdir "$parts/tflite-c"
	mv "$parts/package/cc_deps/include" "$parts/wheel/pymicro_wakeword/lib/libtensorflowlite_c.so" \
		"$parts/tflite-c"
	mv "$parts/tflite-c" "$tools/tflite-c"
	;;
kotlin)
	unpacked kotlin-compiler 2.4.20
	rm -rf "$tools/kotlinc"
	mv "$parts/package" "$tools/kotlinc"
	;;
*)
	echo "usage: $0 c|kotlin" >&2
	exit 2
	;;
esac
