#!/usr/bin/env bats
# An attacker in the pod, as root, with a compiler and Python; the judge is the witness.
load helpers

setup_file() { lab_start; up >&2; }
teardown_file() { lab_stop; }

@test "the witness hears the same attempts from outside a pod (control)" {
	witness --clear
	lab exec "$LAB" -- timeout 120 python3 "$BATS_TEST_DIRNAME/attacker.py" controlnonce >"$LAB_DIR/control.out" 2>&1 || true
	for what in 'tcp .* 1.1.1.1 80 ' 'udp .* 1.1.1.1 9999 ' 'icmp .* 1.1.1.1' 'udp .* 8.8.8.8 53 ' 'tcp .* 2606:4700:4700::1111 9999 ' 'udp .* 1.1.1.1 443 ' 'icmpv6 .* 2606:4700:4700::1111'; do
		echo "looking for: $what"
		witness | grep -q "$what"
	done
	witness | grep -q controlnonce
}

@test "from inside a pod, over 30 attempts: the witness hears nothing" {
	witness --clear
	: >"$LAB_DIR/dns.log"
	run sk exec -i cli-pod -- python3 - podnonce <"$BATS_TEST_DIRNAME/attacker.py"
	echo "$output"
	[[ "$output" == *"attempts "* ]]
	[ "$(echo "$output" | sed -n 's/^attempts //p')" -ge 30 ]
	sleep 1
	witness
	[ -z "$(witness)" ]
	! grep -q podnonce "$LAB_DIR/dns.log" || return 1
	! echo "$output" | grep -E 'unshare|setns of pid 1|fsopen|bpf|ptrace' | grep -q succeeded || return 1
}

@test "after it all, the walls hold and the honest path works" {
	run pod_exec cli-pod curl -sS https://storage.googleapis.com/
	[ "$output" = "hello from storage.googleapis.com port 443" ]
	sk verify
}
