# Bash completion. The options of a command are read from its own --help, so they cannot differ from it.

_stockade() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]} program=${COMP_WORDS[0]}
	local verbs options i values='' kind=''

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		verbs=$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z]*\)  .*/\1/p')
		mapfile -t COMPREPLY < <(compgen -W "$verbs --help --version" -- "$cur")
		return
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		[ "${COMP_WORDS[i]}" = -- ] || continue
		mapfile -t COMPREPLY < <(compgen -f -c -- "$cur")
		return
	done
	# --name=value is three words.
	[ "$prev" = = ] && prev=${COMP_WORDS[COMP_CWORD - 2]}
	[ "$cur" = = ] && cur=
	case $verb$prev in
	*--engine) values="builtin podman" ;;
	*--gate) values="builtin haproxy" ;;
	*--network) values="none bridge" ;;
	*--runtime) values="crun runc runsc" kind=-f ;;
	up-f | explain-f | unit-f | *--file | *--allow-file | run--log | run-v | *--volume) kind=-f ;;
	unit-o | *--output | run-w | run--workdir) kind=-d ;;
	esac
	if [ -n "$values$kind" ]; then
		mapfile -t COMPREPLY < <(compgen ${kind:+"$kind"} -W "$values" -- "$cur")
		return
	fi
	case $cur in
	-*)
		options=$("$program" "$verb" --help 2>/dev/null | sed -n 's/^  \(-.,\|   \) \(--[a-z-]*\).*/\2/p')
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		;;
	*)
		case $verb in
		exec | logs | explain)
			options=$("$program" ps 2>/dev/null | awk '/^$/ { exit } NR > 1 { print $1; print $1 "/" $2 }')
			mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
			;;
		init) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
		esac
		;;
	esac
}
complete -o default -F _stockade stockade
