# What the system tests share. Each file has a lab of its own and a copy of the seed as its project; everything it made is gone at
# its end, also after a failure.

top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
stockade=${STOCKADE:-$top/build/stockade} # another build is tested by naming it

# One lab and one project for the whole file; call from setup_file.
lab_start() {
	export LAB="t$$-$RANDOM"
	"$top/tests/lab/lab" up "$LAB" >&2
	export LAB_DIR=/var/lib/stockade-lab/$LAB
	export PROJECT_DIR=$LAB_DIR/demo
	mkdir -p "$PROJECT_DIR"
	cp -r "$top/examples/seed/." "$PROJECT_DIR/"
}

lab_stop() {
	"$top/tests/lab/lab" exec "$LAB" -- "$stockade" down --project demo --timeout 1 >/dev/null 2>&1 || true
	"$top/tests/lab/lab" down "$LAB"
}

lab() { "$top/tests/lab/lab" "$@"; }
# stockade, run on the lab's host in the project's directory.
sk() { (cd "$PROJECT_DIR" && "$top/tests/lab/lab" exec "$LAB" -- "$stockade" "$@"); }
up() { sk up -f pods.yaml --host-root "$@"; }
pod_exec() { local pod=$1; shift; sk exec "$pod" -- "$@"; }
witness() { "$top/tests/lab/lab" witness "$LAB" "$@"; }
decisions() { cat "$LAB_DIR/run/demo/decisions.log"; }
ps_field() { sk ps --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(eval(sys.argv[1], {"d": d}))' "$1"; }
pod_pid() { # POD: a process of the pod, as the host sees it
	ps_field "[c['pid'] for p in d['pods'] if p['name']=='$1' for c in p['containers'] if c['state']=='running'][0]"
}
# What the names of this project's cgroups begin with, learnt from a running container: other labs may have a project demo as well.
cgroup_prefix() { sed -n 's#.*/\(stockade-demo-[0-9a-f]*-\).*#\1#p' "/proc/$(pod_pid cli-pod)/cgroup" | head -n 1; }
no_cgroups() { [ -n "$1" ] && ! find /sys/fs/cgroup -maxdepth 6 -name "$1*" | grep -q .; }
pod_netns() { nsenter --net="/proc/$(pod_pid "$1")/ns/net" "${@:2}"; }
wait_for() { # SECONDS COMMAND...: until it succeeds
	local end=$((SECONDS + $1)); shift
	until "$@"; do [ "$SECONDS" -lt "$end" ] || return 1; sleep 0.1; done
}

# Podman with a storage of the lab's own: nothing of the machine's is touched. Call after lab_start; then pm is what a person types who has
# set CONTAINERS_CONF as docs/podman.md says.
podman_start() {
	mkdir -p "$LAB_DIR/podman"
	export CONTAINERS_STORAGE_CONF=$LAB_DIR/podman/storage.conf
	printf '[storage]\ndriver = "%s"\ngraphroot = "%s/podman/root"\nrunroot = "%s/podman/runroot"\n' \
		overlay "$LAB_DIR" "$LAB_DIR" >"$CONTAINERS_STORAGE_CONF"
	export SETTINGS=$LAB_DIR/state/demo/podman/containers.conf
	"$top/tests/lab/images" "$LAB_DIR/bundle.pem" >&2
}
podman_unmount() {
	local mount
	for mount in $(awk -v at="$LAB_DIR/podman/" 'index($2, at) == 1 { print $2 }' /proc/mounts | sort -r); do umount "$mount" || true; done
	sleep 0.3
	! grep -q " $LAB_DIR/podman/" /proc/mounts
}
podman_stop() {
	podman pod rm --all --force --time 0 >/dev/null 2>&1 || true
	podman rm --all --force --time 0 >/dev/null 2>&1 || true
	# Podman's own last process may mount it once more.
	wait_for 5 podman_unmount
}
pm() { CONTAINERS_CONF=$SETTINGS nsenter --net="/run/netns/sl-$LAB-host" podman "$@"; }
