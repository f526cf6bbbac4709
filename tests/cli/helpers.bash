# What the command-line tests share: the built program, a directory of the test's own, and no project that is up.
bats_require_minimum_version 1.5.0

top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
stockade=${STOCKADE:-$top/build/stockade}
verbs="init up down ps exec logs log run reload explain verify unit"

setup() {
	[ -x "$stockade" ] || { echo "not built: $stockade" >&2; return 1; }
	export STOCKADE_RUN_DIR=$BATS_TEST_TMPDIR/run
	mkdir "$BATS_TEST_TMPDIR/demo" && cd "$BATS_TEST_TMPDIR/demo" || return 1
}

# sk STATUS ARGS...: runs, and compares the exit status; $output has stdout and $stderr stderr.
sk() {
	local want=$1; shift
	run --separate-stderr "$stockade" "$@"
	[ "$status" = "$want" ] || { echo "stockade $*: exit status $status, not $want"; echo "$output"; echo "$stderr"; return 1; }
}
seed() { cp -r "$top/examples/seed/." .; }
json() { python3 -c 'import json, sys; d = json.load(sys.stdin); assert eval(sys.argv[1], {"d": d}), d' "$1"; }
