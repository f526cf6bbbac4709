#!/usr/bin/env bats
# The server name of a TLS greeting with a real server that asks for a second one (HelloRetryRequest): nginx, which takes no key share
# but P-256, with one site that is listed and one that is not at the same address.
load helpers

setup_file() {
	lab_start
	echo googleapis.com >"$PROJECT_DIR/haproxy/cli_domains.lst"
	mkdir -p "$LAB_DIR/sites"
	cat >"$LAB_DIR/sites.conf" <<-END
		user root; worker_processes 1; daemon off; pid $LAB_DIR/sites.run; error_log $LAB_DIR/sites.error;
		events {}
		http {
			log_format name "\$ssl_server_name"; access_log $LAB_DIR/sites.log name;
			client_body_temp_path $LAB_DIR/sites/b; proxy_temp_path $LAB_DIR/sites/p; fastcgi_temp_path $LAB_DIR/sites/f;
			uwsgi_temp_path $LAB_DIR/sites/u; scgi_temp_path $LAB_DIR/sites/s;
			ssl_certificate $LAB_DIR/web.pem; ssl_certificate_key $LAB_DIR/web.key;
			ssl_protocols TLSv1.3; ssl_ecdh_curve prime256v1; ssl_early_data on;
			server { listen 142.250.74.72:443 ssl; server_name own.googleapis.com; return 200 "listed site"; }
			server { listen 142.250.74.72:443 ssl; server_name evil.example.net; return 200 "evil site"; }
		}
	END
	lab exec "$LAB" --in internet -- nginx -c "$LAB_DIR/sites.conf" -e "$LAB_DIR/sites.error" >/dev/null 2>&1 3>&- &
	wait_for 10 test -s "$LAB_DIR/sites.run"
	up >&2
}
teardown_file() {
	kill "$(cat "$LAB_DIR/sites.run")" 2>/dev/null || true
	lab_stop
}

arrived() { grep -c "^$1\$" "$LAB_DIR/sites.log" || true; }
swap() { timeout 20 "$top/tests/system/swap.py" "$@"; }
pod_swap() { pod_netns cli-pod timeout 20 "$top/tests/system/swap.py" "$@"; }
evil_is_refused() { # WAY ADDRESS ADAPTER
	local before
	: >"$LAB_DIR/sites.log"
	before=$(decisions | grep -c sni-mismatch || true)
	run pod_swap "$1" "$2" own.googleapis.com own.googleapis.com # the honest client
	echo "$output"
	[ "$output" = $'greetings: 2\nlisted site' ]
	[ "$(arrived own.googleapis.com)" = 1 ]
	run pod_swap "$1" "$2" own.googleapis.com evil.example.net
	echo "$output"
	[ "$output" = $'greetings: 2\nrefused' ]
	[ "$(arrived evil.example.net)" = 0 ]
	decisions | tail -n +1 | grep sni-mismatch | tail -n 1 | grep -F "\"adapter\":\"$3\"" | grep -F '"detail":"evil.example.net"'
	[ "$(decisions | grep -c sni-mismatch)" = $((before + 1)) ]
}

@test "without a gate the second greeting's name is the one that the server goes by" {
	: >"$LAB_DIR/sites.log"
	run lab exec "$LAB" -- timeout 20 "$top/tests/system/swap.py" direct 142.250.74.72:443 own.googleapis.com evil.example.net
	echo "$output"
	[ "$output" = $'greetings: 2\nevil site' ]
	[ "$(arrived evil.example.net)" = 1 ]
}

@test "CONNECT: a second greeting with the same name goes through, one with another is refused" {
	evil_is_refused connect 198.18.0.1:8080 connect
}

@test "SOCKS: likewise" {
	evil_is_refused socks 198.18.0.1:8080 socks
}

@test "captured: likewise" {
	evil_is_refused direct 142.250.74.72:443 captured-tls
}

@test "openssl's own client, with a key share that the server does not take and with one that it does" {
	: >"$LAB_DIR/sites.log"
	for curves in X25519:P-256 P-256; do
		run pod_netns cli-pod sh -c "printf 'GET / HTTP/1.1\r\nHost: own.googleapis.com\r\nConnection: close\r\n\r\n' |
			timeout 20 openssl s_client -quiet -proxy 198.18.0.1:8080 -connect own.googleapis.com:443 -servername own.googleapis.com \
			-curves $curves -CAfile $LAB_DIR/ca.pem -verify_return_error 2>/dev/null"
		echo "$output"
		grep -q 'listed site' <<<"$output"
	done
	[ "$(arrived own.googleapis.com)" = 2 ]
}
