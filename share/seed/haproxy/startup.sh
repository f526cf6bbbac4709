#!/bin/sh
# Process 1 of the proxy's container: keeps HAProxy running with the rules, the lists and the pods' present addresses.
#   twice a second   the pods' names are looked up; when an address has changed, HAProxy gets new rules at once
#   kill -USR2 1     the rules and the lists are read anew
# HAProxy only gets what it has checked (haproxy -c). What is refused changes nothing and is told in the log (podman logs).
set -u

from=/opt/haproxy
work=/tmp/haproxy       # now -> the numbered directory that HAProxy reads
nobody=255.255.255.255  # never the source of a connection
generation=0 haproxy='' wanted=''
cli='' sandbox=''
host=$(awk '$2 == "host.containers.internal" { print $1; exit }' /etc/hosts) # Podman's name for it

say() { echo "startup.sh: $*" >&2; }

# NAME and the one address that it has now; with none, or more than one, the name is nobody's.
address_of() {
	timeout 1 getent hosts "$1" | awk -v name="$1" -v none="$nobody" '
		$1 ~ /^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$/ && !seen[$1]++ { n++; address = $1 }
		END { print name, n == 1 ? address : none }'
} 2>/dev/null

# Looks both pods up, at the same time; true when an address has changed.
look_up() {
	old="$cli $sandbox"
	found=$(address_of cli-pod & address_of sandbox-pod & wait)
	cli=$(echo "$found" | sed -n 's/^cli-pod //p') sandbox=$(echo "$found" | sed -n 's/^sandbox-pod //p')
	[ "$old" != "$cli $sandbox" ]
}

# A list as HAProxy is to read it; or what is wrong with it, by line, and false. stockade's own lists may say more than can be said here,
# and an entry that HAProxy would never match (a denial, say) must not be passed over.
read_list() {
	awk '
		function wrong(why) { printf "%s:%d: %s: %s\n", FILENAME, FNR, $0, why >"/dev/stderr"; bad = 1 }
		{ sub(/\r$/, ""); sub(/^[ \t]+/, ""); sub(/[ \t]+$/, ""); name = tolower($0); sub(/^\./, "", name) }
		/^#/ || /^$/ { next }
		name !~ /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/ { wrong("not a name; here a line is a name, which means it and all below it, ports 80 and 443"); next }
		name !~ /\./ { wrong("this would allow every name below ." name); next }
		name ~ /\.([0-9]+|0x[0-9a-f]*)$/ { wrong("an address; here only names can be allowed"); next }
		{ print name }
		END { exit bad }' "$1"
}

# Fills the next directory with the rules and lists of directory $1.
collect() {
	next=$work/$((generation + 1))
	rm -rf "$next" && mkdir -p "$next" && cp "$1/haproxy.cfg" "$1/connect.lua" "$next/" || return 1
	for list in cli_domains.lst sandbox_domains.lst; do
		read_list "$1/$list" >"$next/$list" || return 1
	done
}

# Puts the addresses into the next directory's rules, has HAProxy check it, and makes it the present one.
publish() {
	mkdir "$next/checked" && cp "$next/connect.lua" "$next"/*.lst "$next/checked/" || return 1
	sed "s/REPLACE_CLI_IP/$cli/; s/REPLACE_SANDBOX_IP/$sandbox/; s/REPLACE_HOST_IP/${host:-$nobody}/" "$next/haproxy.cfg" \
		>"$next/checked/haproxy.cfg" || return 1
	haproxy -c -f "$next/checked/haproxy.cfg" >/dev/null || return 1
	generation=$((generation + 1))
	ln -sfn "$generation" "$work/next" && mv -T "$work/next" "$work/now" || return 1
	rm -rf "${work:?}/$((generation - 2))"
	if [ -z "$haproxy" ]; then
		haproxy -W -f "$work/now/checked/haproxy.cfg" &
		haproxy=$!
	else
		kill -USR2 "$haproxy"
	fi
}

apply() { # WHAT DIRECTORY
	if collect "$2" && publish; then
		say "$1; cli-pod is $cli, sandbox-pod is $sandbox"
		return 0
	fi
	say "$1, but it was refused: nothing has changed"
	return 1
}

stop() { # STATUS
	trap - TERM INT
	[ -z "$haproxy" ] || { kill -TERM "$haproxy" 2>/dev/null; wait "$haproxy"; }
	exit "$1"
}

trap 'wanted=1' USR2
trap 'stop 0' TERM INT

look_up
until apply "starting" "$from"; do sleep 1; done
while kill -0 "$haproxy" 2>/dev/null; do
	# New addresses with the rules and lists that are in force, even while somebody is halfway through an edit: an address that a pod no
	# longer has may be another's soon.
	if look_up; then apply "an address has changed" "$work/now" || break; fi
	if [ -n "$wanted" ]; then
		wanted=
		apply "reload" "$from" || true
	fi
	sleep 0.5 &
	wait $! # a signal ends it
done
say "HAProxy has ended"
stop 1
