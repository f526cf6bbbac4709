#!/usr/bin/env bats
# explain, from the lists as they are: no project is up here.
load helpers

@test "an allowed name: exit 0, the rule with file and line" {
	seed
	sk 0 explain cli-pod https://storage.googleapis.com/bucket?x#y
	[[ "$output" == "allow  cli-pod  storage.googleapis.com port 443"* ]]
	grep -q '^rule: *haproxy/cli_domains.lst:[0-9]*: googleapis.com$' <<<"$output"
	[[ "$output" == *"not up"* ]]
}

@test "a name that is not listed: exit 1, the reason, and the line that would allow it" {
	seed
	sk 1 explain cli-pod https://example.com/
	[[ "$output" == deny* && "$output" == *"not-listed"* ]]
	[[ "$output" == *"add a line to haproxy/cli_domains.lst: example.com"* ]]
	echo example.com >>haproxy/cli_domains.lst
	sk 0 explain cli-pod https://example.com/
}

@test "what it suggests is what helps: every denial that can be allowed, is, by the line it names" {
	seed
	for url in https://example.com/ http://storage.googleapis.com:8080/ https://10.0.0.5/ 'http://[2001:db8::1]:99/' example.org:22 ssh://git@github.com \
		http://localhost:3000/ https://co.uk/; do
		sk 1 explain cli-pod "$url" --json
		line=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["next"].rsplit(": ", 1)[1])' <<<"$output")
		cp haproxy/cli_domains.lst keep
		echo "$line" >>haproxy/cli_domains.lst
		sk 0 explain cli-pod "$url"
		cp keep haproxy/cli_domains.lst
	done
}

@test "another pod: no list can allow it, and none is suggested" {
	seed
	sk 1 explain cli-pod http://sandbox-pod:8000/
	[[ "$output" == *"no pod reaches another, whatever the lists say"* ]]
}

@test "deny rules, ports, odd addresses, malformed hosts" {
	seed
	printf '!storage.googleapis.com\n' >>haproxy/cli_domains.lst
	sk 1 explain cli-pod storage.googleapis.com
	[[ "$output" == *"denied-by-rule"*"take out line"* ]]
	sk 1 explain cli-pod www.googleapis.com:22
	[[ "$output" == *"port-not-listed"* ]]
	for odd in 127.1 0x7f000001 2130706433 0177.0.0.1; do
		sk 1 explain cli-pod "http://$odd/"
		[[ "$output" == *"address-literal"* ]]
	done
	for bad in 'http://a b/' 'http://%67oogleapis.com/' 'http://googleapis.com:0/' 'http://googleapis.com:+80/' 'http:///x' $'http://googleapis.com\e[31m/'; do
		sk 1 explain cli-pod "$bad"
		[[ "$output" == *"malformed-host"* && "$output" != *$'\e'* ]]
	done
}

@test "the host is what a client would dial, not what stands before an @" {
	seed
	sk 1 explain cli-pod https://storage.googleapis.com@example.com/
	[[ "$output" == *"example.com port 443"* ]]
	sk 0 explain cli-pod https://example.com@storage.googleapis.com/
}

@test "a port that is none: what is told to do is about ports too" {
	seed
	sk 1 explain cli-pod storage.googleapis.com:99999
	[[ "$output" == *"ports are 1 to 65535"* ]]
}

@test "ports: the scheme's, the written one, or 443" {
	seed
	sk 0 explain --json cli-pod http://storage.googleapis.com/
	json 'd["port"] == 80' <<<"$output"
	sk 0 explain --json cli-pod WSS://storage.googleapis.com/
	json 'd["port"] == 443' <<<"$output"
	sk 0 explain --json cli-pod storage.googleapis.com
	json 'd["port"] == 443' <<<"$output"
	sk 1 explain --json cli-pod ssh://storage.googleapis.com
	json 'd["port"] == 22' <<<"$output"
	sk 2 explain cli-pod gopherx://storage.googleapis.com
	[[ "$stderr" == *HOST:PORT* ]]
}

@test "--json is one object with all there is to know" {
	seed
	sk 0 explain cli-pod https://storage.googleapis.com/ --json
	json 'd["verdict"] == "allow" and d["rule"]["line"] >= 1 and d["rule"]["file"].endswith("cli_domains.lst") and d["in_force"] is False' <<<"$output"
	sk 1 explain cli-pod https://example.com/ --json
	json 'd["verdict"] == "deny" and d["reason"] == "not-listed" and d["rule"] is None and d["host"] == "example.com"' <<<"$output"
	sk 1 explain cli-pod 'http://a b/' --json
	json 'd["reason"] == "malformed-host" and d["host"] is None' <<<"$output"
}

@test "a pod that is not there: exit 2 and the names there are; no manifest: exit 2" {
	sk 2 explain cli-pod example.com
	[[ "$stderr" == *"no pods.yaml"* ]]
	seed
	sk 2 explain no-pod example.com
	[[ "$stderr" == *"cli-pod"* && "$stderr" == *"sandbox-pod"* ]]
	sk 1 explain --project elsewhere cli-pod example.com
	[[ "$stderr" == *"'elsewhere' is not up"* ]]
	mkdir sub && cd sub
	sk 0 explain -f ../pods.yaml cli-pod storage.googleapis.com
	[[ "$output" == *"the lists as they are now, whatever is in force" ]] # nobody looked whether it is up
	sk 2 explain -f nothere.yaml cli-pod example.com
	[ "$stderr" = "stockade explain: error: nothere.yaml: No such file or directory" ]
}

@test "a broken list is told with its place" {
	seed
	echo 'a/b' >haproxy/cli_domains.lst
	sk 2 explain cli-pod example.com
	[[ "$stderr" == *"cli_domains.lst:1:2: error: "* ]]
}
