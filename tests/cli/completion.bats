#!/usr/bin/env bats
# What the shell completes, and that the manual page, --help and completion name the same commands and options.
load helpers

# WORDS...: what is offered for the last one, a line each.
offered() {
	bash -c '
		. "$1"; shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_stockade
		printf "%s\n" "${COMPREPLY[@]}"' - "$top/completions/stockade.bash" "$stockade" "$@" | sort
}
# The commands in the manual page, or the long options in what it says of one.
manual() {
	python3 - "$top/man/stockade.1" "$@" <<-'END' | sort
		import re, sys
		commands = re.search(r"^\.Sh COMMANDS$(.*?)^\.Sh ", open(sys.argv[1]).read(), re.M | re.S).group(1)
		parts = dict(re.findall(r"^\.It Cm (\w+)(.*?)(?=^\.It Cm |\Z)", commands, re.M | re.S))
		print("\n".join({"--" + name for name in re.findall(r"Fl Fl ([a-z-]+)", parts[sys.argv[2]])} if len(sys.argv) > 2 else parts))
	END
}

same() { [ "$1" = "$2" ] || { diff <(echo "$1") <(echo "$2"); return 1; }; }

@test "commands: those of the manual page" {
	same "$(offered '')" "$({ manual; printf '%s\n' --help --version; } | sort)"
	same "$(offered ver)" verify
}

@test "options: those of the manual page, each command's own" {
	for verb in $(manual); do
		same "$(offered "$verb" - | grep -vxE -e '--(help|project)')" "$(manual "$verb" | grep -vx -e --project)"
	done
	same "$(offered unit --q)" --quadlet
}

@test "values: names, and files where a path is meant; after a space or =" {
	mkdir crate && touch crack
	for verb in up unit; do
		same "$(offered $verb --engine '')" $'builtin\npodman'
		same "$(offered $verb --gate =)" $'builtin\nhaproxy'
		same "$(offered $verb --network = b)" bridge
	done
	for verb in up unit run; do same "$(offered $verb --runtime cr)" $'crack\ncrate\ncrun'; done
	same "$(offered up -f cra)" $'crack\ncrate'
	same "$(offered unit --output cra)" crate
	offered run -- cr | grep -x crack
}

@test "pods and containers of what is up, each once; after them a command" {
	mkdir bin
	cat >bin/stockade <<-'END'
		#!/bin/sh
		[ "$*" = "ps" ] || [ "$*" = "ps --project other" ] || exit 1
		printf 'POD  CONTAINER  STATE\nweb  server     running\nweb  side       running\nlate  -  not started\n\ngate serving\n'
	END
	chmod +x bin/stockade
	stockade=$PWD/bin/stockade
	for verb in exec logs; do same "$(offered $verb '')" $'late\nweb\nweb/server\nweb/side'; done
	same "$(offered explain '')" $'late\nweb'
	same "$(offered log --pod '')" $'late\nweb'
	same "$(offered verify --pod = w)" web
	same "$(offered exec -p other we)" $'web\nweb/server\nweb/side'
	same "$(offered exec -p nosuch '')" ''
	same "$(offered explain web '')" ''
	same "$(offered logs web '')" ''
	touch crack
	offered exec web cr | grep -x crack
}
