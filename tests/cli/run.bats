#!/usr/bin/env bats
# run: what it refuses before anything is started.
load helpers

setup_file() { [ "$(id -u)" = 0 ] || export NOT_ROOT=1; }
needs_root() { [ -z "${NOT_ROOT:-}" ] || skip "run checks for root first"; }

@test "entries of --allow and --allow-file are judged as a list's" {
	needs_root
	sk 2 run --allow com -- true
	[[ "$stderr" == *"'com' is a public suffix"* ]]
	sk 2 run --allow https://pypi.org -- true
	[[ "$stderr" == *"is a URL"* ]]
	printf 'pypi.org\na b\n' >x.lst
	sk 2 run --allow-file x.lst -- true
	[[ "$stderr" == "x.lst:2:1: error: "* ]]
	sk 2 run --allow-file none.lst -- true
	[[ "$stderr" == *none.lst* ]]
}

@test "places of the host that no sandbox gets" {
	needs_root
	for place in / /run /var/run /proc /sys /dev /boot /etc /etc/shadow /var /var/lib /proc/self /dev/shm; do
		[ -e "$place" ] || continue
		sk 2 run -v "$place" -- true
		[[ "$stderr" == *" is refused: "* ]]
		sk 2 run -v "$place:ro" -- true
	done
	ln -s /run link
	sk 2 run -v link -- true
	[[ "$stderr" == *"/run is refused"* ]]
	sk 2 run -v none -- true
	[[ "$stderr" == *"-v DIR:ro"* ]]
	mkfifo pipe
	sk 2 run -v pipe -- true
	mkdir -p deep/er/est
	python3 -c 'import os, socket; os.chdir("deep/er/est"); socket.socket(socket.AF_UNIX).bind("s")'
	sk 2 run -v deep:ro -- true
	[[ "$stderr" == *"deep/er/est/s is a socket"* ]]
	mkdir twice
	sk 2 run -v twice -v "$PWD/twice:ro" -- true
	[[ "$stderr" == *"given twice"* ]]
}

@test "a decision log that the command could change is refused" {
	needs_root
	mkdir out logs
	ln -s ../out logs/out
	sk 2 run -v out --log out/decisions -- true
	[[ "$stderr" == *"could change it"* ]]
	sk 2 run -v out --log logs/out/decisions -- true
	[[ "$stderr" == *"could change it"* ]]
	sk 2 run --log none/decisions -- true
	ln -s ../out/decisions logs/decisions
	sk 2 run -v out --log logs/decisions -- true # not there yet, and would be made in the volume
	[ ! -e out/decisions ]
}

@test "a working directory that is not there, or not in the sandbox, is refused" {
	needs_root
	mkdir -p "$BATS_TEST_TMPDIR/other" here
	sk 2 run -w /nowhere -- true
	[ "$stderr" = "stockade run: error: --workdir /nowhere: No such file or directory" ]
	sk 2 run -w "$BATS_TEST_TMPDIR/other" -- true
	[[ "$stderr" == *"other: it is not in the sandbox; -v $BATS_TEST_TMPDIR/other:ro gives it"* ]]
	sk 2 run -w .. -- true
	sk 2 run -w "$stockade" -v "$stockade" -- true
	[[ "$stderr" == *"not a directory"* ]]
}

@test "sizes, times, numbers" {
	needs_root
	for bad in x 0 -1 1.5G 64MM 99999999999999999999 ''; do
		sk 2 run --memory "$bad" -- true
		[[ "$stderr" == *"--memory takes a size"* ]]
	done
	sk 2 run --memory 512K -- true
	[[ "$stderr" == *"--memory takes at least 1M, not '512K'"* ]]
	for bad in x 0 -1 1.5s 5d 100000h ''; do
		sk 2 run --timeout "$bad" -- true
		[[ "$stderr" == *"--timeout takes a time"* ]]
	done
	sk 2 run --pids 2000000 -- true
	sk 2 run --pids 0 -- true
	[[ "$stderr" == *"--pids takes 1 to "* ]]
	sk 2 run --dns localhost -- true
	sk 2 run -e =x -- true
}
