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
	! grep -q " $LAB_DIR/podman/" /proc/mounts || return 1
}
podman_stop() {
	podman pod rm --all --force --time 0 >/dev/null 2>&1 || true
	podman rm --all --force --time 0 >/dev/null 2>&1 || true
	# Podman's own last process may mount it once more.
	wait_for 5 podman_unmount
}
pm() { CONTAINERS_CONF=$SETTINGS nsenter --net="/run/netns/sl-$LAB-host" podman "$@"; }

# A program whose first instructions send packets, as an image and as a pod that Podman starts again and again.
racer_image() {
	cat >"$LAB_DIR/racer.c" <<-'END'
		#include <arpa/inet.h>
		#include <fcntl.h>
		#include <sys/socket.h>
		#include <unistd.h>
		int main(void)
		{
			struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9999), .sin_addr = { htonl(0x01010101) } };
			const int udp = socket(AF_INET, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

			(void)!sendto(udp, "race", 4, 0, (struct sockaddr *)&to, sizeof to);
			to.sin_port = htons(80);
			(void)!connect(tcp, (struct sockaddr *)&to, sizeof to);
			(void)!write(1, "sent\n", 5);
			return 0;
		}
	END
	mkdir -p "$LAB_DIR/racer"
	gcc -static -O1 -o "$LAB_DIR/racer/racer" "$LAB_DIR/racer.c"
	tar -C "$LAB_DIR/racer" -cf "$LAB_DIR/racer.tar" .
	podman import --quiet "$LAB_DIR/racer.tar" localhost/racer:1 >/dev/null
}
with_racer() {
	cp "$PROJECT_DIR/pods.yaml" "$LAB_DIR/seed.yaml"
	printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: { name: racer, labels: { app: cli } }\nspec:\n  restartPolicy: Always\n  containers:\n  - { name: racer, image: "localhost/racer:1", command: ["/racer"] }\n' >>"$PROJECT_DIR/pods.yaml"
}
without_racer() { cp "$LAB_DIR/seed.yaml" "$PROJECT_DIR/pods.yaml"; }
raced() { [ "$(sk logs racer | grep -c sent)" -ge "$1" ]; } # so many times

# --- with Podman ---

# What is missing of it and of PROGRAM...; nothing when all is there.
podman_missing() {
	local program
	for program in podman runc conmon catatonit "$@"; do
		command -v "$program" >/dev/null || [ -x "/usr/libexec/podman/$program" ] || [ -x "/usr/lib/podman/$program" ] || echo "no $program"
	done
}
# Skips where it is there and cannot run a container; after podman_start.
podman_runs() {
	podman --runtime runc run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 alpine true 2>"$LAB_DIR/podman.err" ||
		skip "Podman cannot run here: $(head -c 200 "$LAB_DIR/podman.err")"
}
# Podman's own process that cleans up after a container would take a pod that is started too soon for one that has ended.
# Of the pod's own: others may be cleaned up and started in vain all the time.
cleaned_up() { ! pgrep -f "podman .*$LAB_DIR/podman/.* container cleanup .*($1)" >/dev/null; }
stop() {
	local ids
	ids=$(pm ps --all --no-trunc --quiet --filter "pod=$1" | paste -sd '|')
	[ -n "$ids" ]
	pm pod stop --time 0 "$1" >/dev/null
	wait_for 10 cleaned_up "$ids"
}
restart() { stop "$1" && pm pod start "$1"; }

# --- what several forms must do alike ---

check_allowed() {
	run pod_exec cli-pod-cli-app curl -sS -w ' %{http_code} %{ssl_verify_result}' https://storage.googleapis.com
	[ "$status" = 0 ]
	[[ "$output" == *"hello from storage.googleapis.com"*" 200 0" ]]
}
check_denied() {
	run pod_exec cli-pod curl -sS -w '%{http_code}' http://example.com/
	[[ "$output" == *not-listed* && "$output" == *403 ]]
	run pod_exec cli-pod-cli-app curl -sS https://example.com
	[ "$status" != 0 ]
	[[ "$output" == *403* ]]
}
check_direct() {
	lab exec "$LAB" -- curl -sS http://1.1.1.1/ # the same path is open from the host
	witness | grep -q ' 1.1.1.1 80 '
	witness --clear
	run pod_exec cli-pod-cli-app curl --noproxy '*' -sS -m 5 https://1.1.1.1
	[ "$status" != 0 ]
	[ "$status" != 28 ] # not a time-out
	[ -z "$(witness)" ]
}
# On Podman: then nothing flows and nothing starts.
check_supervisor_killed() {
	kill -9 "$(ps_field "d['supervisor']['pid']")"
	run pm exec cli-pod-cli-app curl -sS -m 3 http://storage.googleapis.com/
	[ "$status" != 0 ]
	stop cli-pod
	run pm pod start cli-pod
	[[ "$output" == *"project 'demo' is not up"* ]]
	[ "$(pm inspect --format '{{.State.Running}}' cli-pod-cli-app)" = false ]
}
# verify passes, these probes among others.
check_verify() { # ID...
	run sk verify --json
	echo "$output" | python3 -c '
import json, sys
probes = json.load(sys.stdin)["probes"]
bad = [p for p in probes if p["result"] in ("failed", "broken")]
assert not bad, bad
passed = {p["id"] for p in probes if p["result"] == "passed"}
assert len(passed) >= 100, len(passed)
assert passed.issuperset(sys.argv[1:]), set(sys.argv[1:]) - passed' "$@"
	[ "$status" = 0 ]
}
