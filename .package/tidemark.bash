# bash completion of tidemark(1)
_tidemark() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=serve i
  local commands="serve console config check test plan reload password verify repair dump restore \
import export snapshot"
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ " $commands " == *" ${COMP_WORDS[i]} "* ]] && command=${COMP_WORDS[i]} && break
  done
  case $previous in
    --config | --socket | --ca) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --data | --scripts | --scratch) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
    --log-level) mapfile -t COMPREPLY < <(compgen -W "error warn info debug" -- "$word"); return ;;
  esac
  if [[ $word == -* ]]; then
    local flags="--config --set --data --listen --scripts --retention --log-level"
    case $command in
      config) flags+=" --print" ;;
      console) flags+=" --socket --eval --json" ;;
      verify) flags+=" --json --scratch" ;;
      dump) flags+=" --text --start --end --scratch" ;;
      test) flags+=" --filter --time-limit --json --scratch" ;;
      plan) flags+=" --url --user --ca --json --explain --diff" ;;
      reload) flags+=" --url --user --ca" ;;
      import) flags+=" --url --user --ca --format --remote-read --start --end" ;;
      export) flags+=" --url --user --ca --start --end" ;;
      snapshot) flags+=" --url --user --ca --list --remove --skip-head --json" ;;
      restore) flags+=" --replace" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$flags --help" -- "$word")
  elif ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}
complete -F _tidemark tidemark
