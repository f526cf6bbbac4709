# Bash completion. The options of a command are read from its own --help, so they cannot differ from it.

# What a project that is up has: pods, or pods and containers; and whether one of the words before is a pod already.
_stockade_names() { # pod|container
	local i project=()

	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-p | --project) [ "${COMP_WORDS[i + 1]}" = = ] && i=$((i + 1)); project=(--project "${COMP_WORDS[i + 1]}") ;;
		esac
	done
	"${COMP_WORDS[0]}" ps "${project[@]}" 2>/dev/null | awk -v what="$1" '
		/^$/ { exit }
		NR > 1 && !seen[$1]++ { print $1 }
		NR > 1 && what == "container" && $2 != "-" { print $1 "/" $2 }'
}
_stockade_has_operand() { # NAMES
	local i

	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i - 1]} in -p | --project | =) continue ;; esac
		grep -qxF -e "${COMP_WORDS[i]}" <<<"$1" && return
	done
	return 1
}

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
	log--pod | verify--pod) values=$(_stockade_names pod) kind=-W ;;
	*--runtime) values="crun runc runsc" kind=-f ;;
	up-f | explain-f | unit-f | *--file | *--allow-file | run--log | run-v | *--volume) kind=-f ;;
	unit-o | *--output | run-w | run--workdir) kind=-d ;;
	esac
	if [ "$kind" = -W ]; then
		mapfile -t COMPREPLY < <(compgen -W "$values" -- "$cur")
		return
	fi
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
			options=$(_stockade_names "$([ "$verb" = explain ] && echo pod || echo container)")
			if ! _stockade_has_operand "$options"; then
				mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
			elif [ "$verb" = exec ]; then
				mapfile -t COMPREPLY < <(compgen -f -c -- "$cur")
			fi
			;;
		help)
			mapfile -t COMPREPLY < <(compgen -W "$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z]*\)  .*/\1/p')" -- "$cur")
			;;
		init) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
		esac
		;;
	esac
}
complete -o default -F _stockade stockade
