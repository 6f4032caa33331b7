"""The script for zsh, over its own _arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.cli.completion.model import Command, Option, Value

_SCRIPT = """\
#compdef rook
# Completion of rook for zsh. To load it, after compinit: source <(rook completion zsh)
# To keep it: rook completion zsh > a folder of $fpath/_rook

_rook_names() {
  local -a names
  names=(${(f)"$(command rook ${_rook_home:+--home=$_rook_home} completion --names 2>/dev/null)"})
  compadd -a names
}

_rook_targets() {
  _rook_names
  _files
}

_rook() {
  local cmd= _rook_home=
  local -i i=2
  while (( i < CURRENT )); do
    case $words[i] in
      --home) _rook_home=$words[i+1]; (( i += 2 )) ;;
      --home=*) _rook_home=${words[i]#--home=}; (( i += 1 )) ;;
      *) cmd=$words[i]; break ;;
    esac
  done
  if [[ -z $cmd ]]; then
    if [[ $words[CURRENT-1] == --home ]]; then
      _files -/
      return
    fi
    local -a commands
    commands=(
@COMMANDS@
    )
    _describe -t commands command commands
    [[ $words[CURRENT] == -* ]] && compadd -- --home --version --help
    return
  fi
  words=("${(@)words[i,-1]}")
  (( CURRENT -= i - 1 ))
  case $cmd in
@CASES@
  esac
}

if [[ $funcstack[1] == _rook ]]; then
  _rook "$@"
else
  compdef _rook rook
fi
"""


def script(commands: Sequence[Command]) -> str:
    """The whole script."""
    listed = [f"      {_quoted(f'{name}:{_plain(command.help)}')}" for command in commands for name in command.names]
    cases = []
    for command in commands:
        specs = [_option(option) for option in command.options]
        if command.word is not None:
            specs.append(_quoted(f"*:{command.word.kind}:{_action(command.word)}"))
        lines = " \\\n        ".join(["_arguments", *specs])
        cases.append(f"    {'|'.join(command.names)})\n      {lines}\n      ;;")
    return _SCRIPT.replace("@COMMANDS@", "\n".join(listed)).replace("@CASES@", "\n".join(cases))


def _option(option: Option) -> str:
    value = "" if option.value is None else f":value:{_action(option.value)}"
    tail = _quoted(f"[{_plain(option.help)}]{value}")
    if len(option.flags) == 1:
        return f"{option.flags[0]}{tail}"
    return f"'({' '.join(option.flags)})'{{{','.join(option.flags)}}}{tail}"


def _action(value: Value) -> str:
    if value.kind == "words":
        return f"({' '.join(value.words)})"
    actions = {
        "none": " ",
        "files": "_files",
        "folders": "_files -/",
        "names": "_rook_names",
        "targets": "_rook_targets",
    }
    return actions[value.kind]


def _plain(text: str) -> str:
    """A description: neither colons nor brackets, which mean something here."""
    return text.replace("[", "(").replace("]", ")").replace(":", "\\:")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
