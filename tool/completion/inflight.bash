# Completion of the inflight command for bash.

# Where the program's own command line begins, or nothing while it has not.
_inflight_program() {
  local i
  for ((i = 2; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in
      --)
        echo $((i + 1))
        return
        ;;
      -n | -o | --rounds | --looks | --output | --svg | --spans | --engine | --threads | --pages | \
        --library)
        ((++i))
        ;;
      -*) ;;
      *)
        echo "$i"
        return
        ;;
    esac
  done
}

_inflight() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} begin
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "run compare top trace check stats probe --help --version" -- "$word")
    return
  fi
  case ${COMP_WORDS[1]} in
    run | compare | trace | check)
      begin=$(_inflight_program)
      if [[ -n $begin ]] && declare -F _command_offset >/dev/null; then
        _command_offset "$begin"
        return
      fi
      ;;
  esac
  case $before in
    --engine)
      mapfile -t COMPREPLY < <(compgen -W "auto uring kaio threads" -- "$word")
      return
      ;;
    --pages)
      mapfile -t COMPREPLY < <(compgen -d -- "$word")
      return
      ;;
    --library | --svg | --output | -o)
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return
      ;;
    -n | --rounds | --looks | --spans | --threads) return ;;
  esac
  local options
  case ${COMP_WORDS[1]} in
    run) options="--engine --stats --json --pages --threads --library --help" ;;
    compare) options="--rounds --engine --library --json --show-output --help" ;;
    top) options="--looks --json --help" ;;
    trace) options="--output --svg --spans --engine --library --help" ;;
    check) options="--engine --library --json --help" ;;
    stats) options="--json --each --help" ;;
    probe) options="--json --help" ;;
    *) return ;;
  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    return
  fi
  case ${COMP_WORDS[1]} in
    run | compare | trace | check) mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
    top) mapfile -t COMPREPLY < <(compgen -W "$(cd /proc && printf '%s\n' [0-9]*)" -- "$word") ;;
    stats | probe) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
  esac
}

complete -o filenames -F _inflight inflight
