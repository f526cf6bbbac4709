#!/usr/bin/env bats
# up as far as it goes without privileges, and init.
load helpers

@test "up --dry-run of the seed: the plan, in order, with its undo, and nothing is made" {
	seed
	sk 0 up --dry-run
	[[ "$output" == *"project demo: 2 pods"* ]]
	grep -q 'cli-node is not run' <<<"$output"
	jail=$(grep -n 'pod cli-pod: put up the jail' <<<"$output" | cut -d: -f1)
	back=$(grep -n 'pod cli-pod: read the jail back' <<<"$output" | cut -d: -f1)
	start=$(grep -n 'container cli-pod/cli-app: start' <<<"$output" | cut -d: -f1)
	stop=$(grep -n 'container cli-pod/cli-app: stop it' <<<"$output" | cut -d: -f1)
	[ "$jail" -lt "$back" ] && [ "$back" -lt "$start" ] && [ "$start" -lt "$stop" ]
	[ ! -e "$STOCKADE_RUN_DIR" ]
}

@test "up --dry-run --jail prints a ruleset for each pod" {
	seed
	sk 0 up -n --jail
	[ "$(grep -c '^the jail of pod' <<<"$output")" = 2 ]
	[ "$(grep -c 'table inet stockade' <<<"$output")" -ge 2 ]
	sk 0 up -n
	[[ "$output" != *tproxy* ]]
}

@test "up --dry-run shows where a word of a command begins and ends" {
	printf 'apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec:\n  containers: [{ name: c, image: x, command: [sh, -c, "a b >c", ""] }]\n' >pods.yaml
	sk 0 up -n
	[[ "$output" == *"container a/c: start x: sh -c 'a b >c' ''"* ]]
}

@test "up names the project after the manifest's directory, in lower case, or as told" {
	mkdir Other && cp -r "$top/examples/seed/." Other/
	sk 0 up -n -f Other/pods.yaml
	[[ "$output" == *"project other:"* ]]
	sk 0 up -n --file=Other/pods.yaml --project=mine
	[[ "$output" == *"project mine:"* ]]
	mv Other 'no good'
	sk 2 up -n -f 'no good/pods.yaml'
	[[ "$stderr" == *"--project NAME"* ]]
}

@test "up without a manifest says how to get one" {
	sk 2 up
	[[ "$stderr" == *"pods.yaml"*"stockade init"* ]]
	sk 2 up -f elsewhere.yaml --dry-run
	[[ "$stderr" == *elsewhere.yaml* ]]
}

@test "up without --host-root says that images are not supported, and what to do" {
	seed
	sk 2 up
	[[ "$stderr" == *"--host-root"* ]]
}

@test "up without root says so before anything is made" {
	[ "$(id -u)" = 0 ] || { seed; sk 2 up --host-root; [[ "$stderr" == *root* ]]; return; }
	seed
	chmod -R a+rX "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR"
	# Everything on the way to the copy must be readable to a stranger; where the temporary directory is not, / is.
	copy=$(mktemp -d /tmp/stockade-cli.XXXXXX)
	cp -r . "$copy/demo"
	cp "$stockade" "$copy/stockade"
	chmod -R a+rX "$copy"
	cd "$copy/demo"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$copy/stockade" up --host-root
	[ "$status" = 2 ]
	[[ "$output" == *"needs root"* ]]
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$copy/stockade" up --engine podman
	[ "$status" = 2 ]
	[[ "$output" == *"rootless Podman will not do"* ]]
	# As root of a user namespace only, as in podman unshare.
	run unshare --user --map-root-user "$copy/stockade" up --engine podman
	[ "$status" = 2 ]
	[[ "$output" == *"the machine's root"* ]]
	cd / && rm -r "$copy"
}

@test "errors of a manifest are shown as a compiler's: no prefix, file:line:column first" {
	seed
	sed -i 's/restartPolicy/x/; s/hostPath/hostPth/' pods.yaml
	sk 2 up --dry-run
	[[ "$stderr" == pods.yaml:*:*": error: "* ]]
	[ -z "$output" ]
}

@test "a broken list is told with its place" {
	seed
	echo 'bad name.com' >>haproxy/cli_domains.lst
	sk 2 up --dry-run
	grep -q 'cli_domains.lst:[0-9]*:1: error: ' <<<"$stderr"
}

@test "init writes a project that up --dry-run takes, and explain answers from" {
	sk 0 init mine
	[[ "$output" == *"stockade up --host-root"* ]]
	cd mine
	sk 0 up --dry-run
	[ -z "$stderr" ]
	[[ "$output" == *sandbox-pod* && "$output" == *cli-pod* && "$output" != *denied* ]]
	sk 0 explain sandbox-pod https://pypi.org/simple/
	sk 1 explain sandbox-pod https://example.com/
}

@test "init without an operand writes here" {
	sk 0 init
	[ -e pods.yaml ] && [ -d lists ] && [ -d work ]
}

@test "init --seed writes what up --dry-run takes; its scripts are whole, and readable to all whatever the umask" {
	(umask 077 && "$stockade" init --seed by-hand >out)
	[[ "$(cat out)" == *"podman network create secure_net"* ]]
	[ "$(stat -c %a by-hand/haproxy by-hand/haproxy/startup.sh by-hand/haproxy/haproxy.cfg | tr '\n' ' ')" = "755 755 644 " ]
	for script in by-hand/haproxy/startup.sh by-hand/scripts/*.sh; do sh -n "$script"; done
	cd by-hand
	sk 0 up --dry-run --project by-hand
	[[ "$output$stderr" == *"the container cli-node is not run"* && "$output$stderr" == *"the container sandbox-node is not run"* ]]
	sk 0 explain -f pods.yaml cli-pod https://storage.googleapis.com/
	sk 1 explain -f pods.yaml cli-pod https://evilgoogleapis.com/
}

@test "init that fails halfway leaves nothing, and nothing of others' is taken away" {
	run bash -c 'trap "" XFSZ; ulimit -f 4; "$0" init --seed new' "$stockade" # no file over 4 KiB
	[ "$status" = 3 ]
	[[ "$output" == *"new/"*"File too large"* ]]
	[ ! -e new ]
	mkdir -p mine/scripts
	echo kept >mine/scripts/other
	run bash -c 'trap "" XFSZ; ulimit -f 4; "$0" init --seed mine' "$stockade"
	[ "$status" = 3 ]
	[ "$(find mine | sort | tr '\n' ' ')" = "mine mine/scripts mine/scripts/other " ]
}

@test "init overwrites nothing, and then writes nothing" {
	mkdir lists && echo mine >lists/cli_domains.lst
	sk 2 init
	[[ "$stderr" == *"lists/cli_domains.lst is there already"* ]]
	[ ! -e pods.yaml ] && [ ! -e work ] && [ "$(cat lists/cli_domains.lst)" = mine ]
	sk 0 init other
	sk 2 init other
	sk 2 init no/such/place
	touch file
	sk 2 init file
	mkdir link && ln -s /etc/hostname link/pods.yaml
	sk 2 init link
}

@test "a container without a command is told before anything is begun, where no image has one" {
	printf 'apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec:\n  containers:\n  - { name: c, image: x }\n' >pods.yaml
	sk 2 up --host-root
	[[ "$stderr" == "pods.yaml:6:5: error: the container 'c' of the pod 'a' has no 'command'"* ]]
	sk 2 up --host-root --dry-run
	sk 0 up --engine podman --dry-run
}

@test "the example of docs/manifest.md is one" {
	mkdir lists && echo python.org >lists/shared.lst
	sed -n '/^```yaml$/,/^```$/p' "$top/docs/manifest.md" | sed '1d;$d' >pods.yaml
	sk 0 up --dry-run
	[ -z "$stderr" ] # no warning
	[[ "$output" == *"container web/server: publish its port 8000 at 127.0.0.1:18000"* ]]
	sk 0 explain web https://pypi.org/
	sk 0 explain web https://python.org/
	sk 1 explain web http://pypi.org/
}
