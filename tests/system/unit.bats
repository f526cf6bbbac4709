#!/usr/bin/env bats
# stockade unit: systemd reads what is printed as it is meant, for every engine and gate; and what it says is done, without systemd, under
# the restrictions that it would be done under.
load helpers

# A unit names no program that others can put something else in the place of, as they can below /tmp.
setup_file() {
	lab_start
	install -m 755 "$stockade" "$LAB_DIR/stockade"
	export STOCKADE=$LAB_DIR/stockade
}
teardown_file() { lab_stop; }

words() { # KEY: the words of a line of the unit, as systemd would split them, one a line
	python3 - "$LAB_DIR/units/stockade-demo.service" "$1" <<-'END'
	import shlex, sys
	for line in open(sys.argv[1]):
	    key, _, value = line.partition("=")
	    if key == sys.argv[2]:
	        for word in shlex.split(value.strip().lstrip("-"), posix=True):
	            print(word.replace("%%", "%").replace("$$", "$"))
	END
}

unit() { mkdir -p "$LAB_DIR/units"; sk unit --project demo --output "$LAB_DIR/units" "$@"; }
sk_as() { (cd "$PROJECT_DIR" && "$top/tests/lab/lab" exec "$LAB" -- "$@"); }
# Under what the unit's hardening leaves.
restricted() {
	local drop
	drop=$(sed -n 's/^CapabilityBoundingSet=~//p' "$LAB_DIR/units/stockade-demo.service" | tr 'A-Z' 'a-z' | sed 's/cap_/-/g; s/ /,/g')
	grep -q '^NoNewPrivileges=yes' "$LAB_DIR/units/stockade-demo.service"
	[ -n "$drop" ]
	(cd / && "$top/tests/lab/lab" exec "$LAB" -- setpriv --no-new-privs --bounding-set="$drop" -- "$@")
}

@test "systemd-analyze verify has nothing to say, for every engine, gate and runtime" {
	command -v systemd-analyze >/dev/null || skip "systemd-analyze is not here"
	for engine in "--host-root" "--engine podman" "--engine podman --network bridge" "--host-root --runtime runc"; do
		for gate in builtin haproxy; do
			[[ "$engine $gate" != *bridge*haproxy ]] || continue
			[[ "$engine" != *runc* ]] || command -v runc >/dev/null || continue
			rm -rf "$LAB_DIR/units"
			# shellcheck disable=SC2086 # options, split on purpose
			unit $engine --gate "$gate"
			run systemd-analyze verify "$LAB_DIR/units/stockade-demo.service"
			echo "$engine $gate: $output"
			[ "$status" = 0 ]
			[ -z "$output" ]
		done
	done
	sed -i 's/^Type=.*/Type=bogus/' "$LAB_DIR/units/stockade-demo.service" # the control
	run systemd-analyze verify "$LAB_DIR/units/stockade-demo.service"
	[ -n "$output" ]
}

@test "a path that is made to mislead systemd comes out as it is" {
	dir="$LAB_DIR/%h \$HOME 'a' \"b\" \\c; d # é"
	mkdir -p "$dir"
	cp -r "$PROJECT_DIR/." "$dir/"
	unit --host-root --file "$dir/pods.yaml"
	[ "$(words ExecStart | tail -n 1)" = "$dir/pods.yaml" ]
	[ "$(words RequiresMountsFor)" = "$dir" ]
	if command -v systemd-analyze >/dev/null; then
		run systemd-analyze verify "$LAB_DIR/units/stockade-demo.service"
		[ -z "$output" ]
	fi
	mkdir "$LAB_DIR/$(printf 'a\nExecStartPre=b')"
	cp -r "$PROJECT_DIR/." "$LAB_DIR/$(printf 'a\nExecStartPre=b')/"
	run sk unit --project demo --host-root --file "$LAB_DIR/$(printf 'a\nExecStartPre=b')/pods.yaml"
	[ "$status" = 2 ]
	[[ "$output" == *"control character"* && "$output" != *"[Service]"* ]]
}

@test "the program is at a plain path, and it and the manifest are root's alone" {
	for name in 'a$b' 'a"b' 'a b' 'a%b'; do
		mkdir -p "$LAB_DIR/$name"
		cp "$stockade" "$LAB_DIR/$name/stockade"
		run sk_as "$LAB_DIR/$name/stockade" unit --project demo --host-root
		echo "$output"
		[ "$status" = 2 ]
		[[ "$output" == *"program's path"* && "$output" != *"[Service]"* ]]
	done
	mkdir -p "$LAB_DIR/plain"
	cp "$stockade" "$LAB_DIR/plain/stockade"
	run sk_as "$LAB_DIR/plain/stockade" unit --project demo --host-root # the control
	[ "$status" = 0 ]
	[[ "$output" == *"ExecStart=$LAB_DIR/plain/stockade up "* && "$output" != *warning* ]]
	chmod 777 "$LAB_DIR/plain"
	run sk_as "$LAB_DIR/plain/stockade" unit --project demo --host-root
	[ "$status" = 2 ]
	[[ "$output" == *"lies below $LAB_DIR/plain, which others than root can change"* && "$output" != *"[Service]"* ]]
	chmod 755 "$LAB_DIR/plain"
	chown 1000 "$PROJECT_DIR"
	run sk_as "$LAB_DIR/plain/stockade" unit --project demo --host-root
	chown 0 "$PROJECT_DIR"
	[ "$status" = 0 ]
	[[ "$output" == *"warning: the manifest lies below $PROJECT_DIR, which others than root can change"*"[Service]"* ]]
}

@test "what cannot be started at boot is refused now" {
	run sk unit
	[ "$status" = 2 ]
	[[ "$output" == *--host-root* ]]
	run sk unit --host-root --quadlet
	[ "$status" = 2 ]
	run sk unit --host-root --gate other
	[ "$status" = 2 ]
	run sk unit --host-root --runtime no-such
	[ "$status" = 2 ]
	run sk unit --engine podman --runtime runc
	[ "$status" = 2 ]
	echo 'nonsense: 1' >>"$PROJECT_DIR/bad.yaml"
	run sk unit --host-root --file bad.yaml
	[ "$status" = 2 ]
}

@test "its commands start, reload and stop the project, under its restrictions; the walls hold" {
	unit --host-root
	mapfile -t start < <(words ExecStart)
	mapfile -t reload < <(words ExecReload)
	mapfile -t stop < <(words ExecStop)
	[ "${#start[@]}" -gt 3 ]
	restricted "${start[@]}" 3>&-
	# PIDFile= is the supervisor's, and only root could have written it.
	pidfile=$(words PIDFile)
	[ "$(cat "$pidfile")" = "$(ps_field "d['supervisor']['pid']")" ]
	[ "$(stat -c '%u %a' "$pidfile")" = "0 600" ]
	grep -q '^NoNewPrivs:.*1' "/proc/$(cat "$pidfile")/status"
	run pod_exec cli-pod curl -sS http://storage.googleapis.com/
	[ "$output" = "hello from storage.googleapis.com port 80" ]
	run sk verify
	echo "$output"
	[ "$status" = 0 ]
	echo python.org >>"$PROJECT_DIR/haproxy/cli_domains.lst"
	restricted "${reload[@]}"
	run pod_exec cli-pod curl -sS http://python.org/
	[[ "$output" == hello* ]]
	# A supervisor that is killed is started again by systemd, with the same command.
	kill -9 "$(cat "$pidfile")"
	mapfile -t post < <(words ExecStopPost)
	restricted "${post[@]}"
	restricted "${start[@]}" 3>&-
	run pod_exec cli-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == hello* ]]
	restricted "${stop[@]}"
	[ ! -e "$pidfile" ]
	restricted "${post[@]}"
}
