#!/bin/sh
# Puts up a pod's jail: TCP to the proxy's port 8080, and nothing else, in either direction, IPv4 or IPv6; no DNS. It runs as an init
# container, the only one of the pod with NET_ADMIN, and is gone before the pod's programs start. If anything fails, they do not start.
set -eu

name='proxy-pod'
mark=192.0.2.1 # a documentation address; in_jail.sh looks for the route to it

die() { echo "jail: $*" >&2; exit 1; }

# Prints the proxy's address, waiting for it. This is the only look-up in the pod, made while nothing else runs in it.
find_proxy() {
	# /etc/hosts is the whole pod's. A line of an earlier start would hide the address that the proxy has now.
	others=$(awk -v name="$name" '$2 != name' /etc/hosts)
	printf '%s\n' "$others" >/etc/hosts
	for _ in $(seq 30); do
		found=$(getent hosts "$name" | awk '$1 ~ /^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$/ { print $1; exit }')
		if [ -n "$found" ]; then echo "$found" && return; fi
		sleep 1
	done
	die "$name has no address; start it first: podman pod start $name"
}

# When a pod leaves, the network's bridge may change its own hardware address, and the proxy would send to the old one for up to a minute: no
# names, no internet. A packet that reaches it by way of the host makes the host ask for it, and the question says the new one.
nudge_proxy() {
	gateway=$(ip route | awk '$1 == "default" { print $3; exit }')
	ip route replace "$proxy/32" via "$gateway" || die "no route to $name by way of the host"
	nc -w 1 "$proxy" 8080 </dev/null >/dev/null 2>&1 || true
	ip route del "$proxy/32" || die "the route to $name could not be taken away"
}

put_up() {
	nft -f - <<-RULES || die "nft did not take the rules"
	table inet jail {
		chain output {
			type filter hook output priority filter; policy drop;
			oifname "lo" accept
			ip daddr $proxy tcp dport 8080 accept
			meta l4proto tcp reject with tcp reset
			reject with icmpx type port-unreachable
		}
		chain input {
			type filter hook input priority filter; policy drop;
			iifname "lo" accept
			ip saddr $proxy tcp sport 8080 accept
		}
	}
	RULES
	# The only name that is known in the pod; all others are the proxy's business.
	echo "$proxy $name" >>/etc/hosts
}

# The pod's programs start when the proxy knows this pod by the address that it has now. The host asked for is in nobody's list.
await_proxy() {
	for _ in $(seq 60); do
		answer=$(printf 'GET http://jail.invalid/ HTTP/1.1\r\nHost: jail.invalid\r\nConnection: close\r\n\r\n' |
			nc -w 2 "$proxy" 8080 2>/dev/null || true)
		case $answer in
		*unknown-client*) ;;
		*" 403 "*) return ;;
		esac
		sleep 0.5
	done
	die "$name does not know this pod; see: podman logs proxy-pod-proxy"
}

command -v nft >/dev/null || apk add --no-cache nftables || die "the image has no nft, and apk could not install nftables"
# A jail that is there stays up, whoever starts this container again.
proxy=$(nft list table inet jail 2>/dev/null | sed -n 's/.*ip daddr \([0-9.]*\) tcp dport 8080 accept.*/\1/p')
if [ -z "$proxy" ]; then
	proxy=$(find_proxy)
	nudge_proxy
	put_up
fi
await_proxy
ip route replace unreachable "$mark/32" || die "the mark of the jail could not be set"
