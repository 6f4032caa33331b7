"""The script for bash (3.2 and later), without the package bash-completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rookery.cli.completion.model import once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.cli.completion.model import Command, Value

_SCRIPT = """\
# Completion of rook for bash. To load it: source <(rook completion bash)
# To keep it: rook completion bash > ~/.local/share/bash-completion/completions/rook

_rook_names() {
  command rook ${_rook_home:+"--home=$_rook_home"} completion --names 2>/dev/null
}

# What the option $2 of the command $1 takes: words, or @files @folders @names @targets @none; nothing for a switch.
_rook_value() {
  case "$1 $2" in
@VALUES@
  esac
}

# What stands before the options of the command $1.
_rook_word() {
  case "$1" in
@WORDS@
  esac
}

_rook_options() {
  case "$1" in
@OPTIONS@
  esac
}

# Offers those of the lines in $1 that begin like the word.
_rook_offer() {
  local item
  while IFS= read -r item; do
    [[ -n $item && $item == "$cur"* ]] && COMPREPLY+=("$item")
  done <<<"$1"
}

_rook_complete() {
  case "$1" in
    "" | @none) ;;
    @folders) _rook_offer "$(compgen -d -- "$cur")" ;;
    @files) _rook_offer "$(compgen -f -- "$cur")" ;;
    @targets)
      _rook_offer "$(_rook_names)"
      _rook_offer "$(compgen -f -- "$cur")"
      ;;
    @names) _rook_offer "$(_rook_names)" ;;
    *) _rook_offer "${1// /$'\n'}" ;;
  esac
  case "$1" in
    @folders | @files | @targets) compopt -o filenames 2>/dev/null ;;
  esac
}

_rook() {
  local line=${COMP_LINE:0:COMP_POINT} cur prev cmd= _rook_home= i typed strip
  local -a typed
  COMPREPLY=()
  # COMP_WORDS are split at : and = too; names have a colon, so the words are taken as they were typed.
  read -ra typed <<<"$line"
  [[ $line == *[[:space:]] ]] && typed+=("")
  local last=$((${#typed[@]} - 1))
  cur=${typed[last]}
  prev=${typed[last - 1]}
  for ((i = 1; i < last; i++)); do
    case "${typed[i]}" in
      --home) _rook_home=${typed[++i]} ;;
      --home=*) _rook_home=${typed[i]#--home=} ;;
      *) cmd=${typed[i]}; break ;;
    esac
  done
  if [[ $cur == --*=* ]]; then
    prev=${cur%%=*}
    cur=${cur#*=}
  fi
  if [[ -z $cmd ]]; then
    case "$prev" in
      --home) _rook_complete @folders ;;
      *) _rook_complete "@COMMANDS@ --home --version --help" ;;
    esac
    return
  fi
  for ((i = i + 1; i < last; i++)); do
    if [[ ${typed[i]} == -- ]]; then
      _rook_complete @files
      return
    fi
  done
  local value=
  [[ $prev == -* ]] && value=$(_rook_value "$cmd" "$prev")
  if [[ -n $value ]]; then
    _rook_complete "$value"
  elif [[ $cur == -* ]]; then
    _rook_complete "$(_rook_options "$cmd")"
  else
    _rook_complete "$(_rook_word "$cmd")"
  fi
  # Readline replaces only what follows the last break character.
  if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
    strip=${cur%"${cur##*:}"}
    for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$strip"}; done
  fi
}

complete -F _rook rook
"""


def script(commands: Sequence[Command]) -> str:
    """The whole script."""
    values, options, words = [], [], []
    for command in commands:
        pattern = " | ".join(command.names)
        flags = once(flag for option in command.options for flag in option.flags)
        options.append(f'    {pattern}) echo "{" ".join(flags)}" ;;')
        if command.word is not None:
            words.append(f'    {pattern}) echo "{_shown(command.word)}" ;;')
        for option in command.options:
            if option.value is not None:
                cases = " | ".join(f'"{name} {flag}"' for name in command.names for flag in option.flags)
                values.append(f'    {cases}) echo "{_shown(option.value)}" ;;')
    every = once(name for command in commands for name in command.names)
    text = _SCRIPT.replace("@VALUES@", "\n".join(values)).replace("@WORDS@", "\n".join(words))
    return text.replace("@OPTIONS@", "\n".join(options)).replace("@COMMANDS@", " ".join(every))


def _shown(value: Value) -> str:
    return " ".join(value.words) if value.kind == "words" else f"@{value.kind}"
