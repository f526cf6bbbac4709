#!/bin/sh
# The jail of sandbox-pod as its node container puts it up under Podman: DNS and the proxy, nothing else. Stockade's engine does this
# itself, from outside and for more than IPv4, and does not run this script.
set -eu
apk add --no-cache nftables
proxy=$(getent hosts proxy-pod | awk '{ print $1; exit }')
nft -f - <<RULES
table inet jail {
	chain output {
		type filter hook output priority filter; policy drop;
		oif lo accept
		ct state established,related accept
		udp dport 53 accept
		tcp dport 53 accept
		ip daddr $proxy tcp dport 8080 accept
		counter reject
	}
}
RULES
exec sleep infinity
