"""The script for fish."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rookery.cli.completion.model import Command, Option, Value

_HEAD = """\
# Completion of rook for fish. To load it: rook completion fish | source
# To keep it: rook completion fish > ~/.config/fish/completions/rook.fish

function __rook_words
    # What stands behind rook and its own options.
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case --home
                set -e words[1]
                set -q words[1]; and set -e words[1]
            case '--home=*'
                set -e words[1]
            case '*'
                break
        end
    end
    printf '%s\\n' $words
end

function __rook_needs_command
    test -z "$(__rook_words)"
end

function __rook_is
    set -l words (__rook_words)
    set -q words[1]; and contains -- $words[1] $argv
end

function __rook_names
    set -l words (commandline -opc)
    set -l home
    for i in (seq (count $words))
        switch $words[$i]
            case --home
                set home --home=$words[(math $i + 1)]
            case '--home=*'
                set home $words[$i]
        end
    end
    command rook $home completion --names 2>/dev/null
end

complete -c rook -f
complete -c rook -n __rook_needs_command -l home -x -a '(__fish_complete_directories)' -d "another manager's home"
complete -c rook -n __rook_needs_command -l version -s V -d 'the version'
complete -c rook -n __rook_needs_command -l help -s h -d 'all commands'
"""


def script(commands: Sequence[Command]) -> str:
    """The whole script."""
    lines = [_HEAD]
    for command in commands:
        lines += [
            f"complete -c rook -n __rook_needs_command -a {name} -d {_quoted(command.help)}" for name in command.names
        ]
        within = f"-n {_quoted('__rook_is ' + ' '.join(command.names))}"
        if command.word is not None and (given := _given(command.word)):
            lines.append(f"complete -c rook {within} {given}")
        lines += [f"complete -c rook {within} {_option(option)}" for option in command.options]
    return "\n".join(lines) + "\n"


def _option(option: Option) -> str:
    flags = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags]
    value = ""
    if option.value is not None:
        value = f" -r {_given(option.value)}" if option.value.kind in ("files", "targets") else " -x"
        if option.value.kind not in ("files", "targets", "none"):
            value += f" {_given(option.value)}"
    return f"{' '.join(flags)}{value} -d {_quoted(option.help)}"


def _given(value: Value) -> str:
    given = {
        "none": "",
        "words": f"-a {_quoted(' '.join(value.words))}",
        "files": "-F",
        "folders": "-a '(__fish_complete_directories)'",
        "names": "-a '(__rook_names)'",
        "targets": "-F -a '(__rook_names)'",
    }
    return given[value.kind]


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
