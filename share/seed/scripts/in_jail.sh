#!/bin/sh
# Starts a program in a jailed pod, and only there:   in_jail.sh PROGRAM ARGUMENT...
# Podman leaves the init containers out when somebody starts one container of a stopped pod, not the pod; then there is no jail.
# Only the shell's own commands are used, so it runs in any image with a shell.

jailed() {
	wire='' theirs=''
	while read -r interface destination _; do
		case $interface/$destination in
		Iface/* | lo/*) ;;
		# The route to 192.0.2.1, which jail.sh makes last, as the kernel writes it (in the machine's own byte order).
		'*/010200C0' | '*/C0000201') return 0 ;;
		*/????1[23]C6 | */C61[23]????) theirs=1 ;; # 198.18.0.0/15
		*) wire=1 ;;
		esac
	done </proc/net/route
	# stockade up runs this file as well, in pods that it has jailed from outside: with no wire at all, or one into a network of its own.
	[ -z "$wire" ] || return 1
	[ -z "$theirs" ] && [ -e /proc/net/if_inet6 ] || return 0
	while read -r _ _ _ _ _ interface; do
		[ "$interface" = lo ] || return 1
	done </proc/net/if_inet6
}

if jailed; then exec "$@"; fi
echo "in_jail.sh: this pod has no jail, so nothing is started in it; start the whole pod: podman pod stop POD; podman pod start POD" >&2
exit 0 # with another status Podman would try it again and again
