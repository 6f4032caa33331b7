"""Values in scripts: whatever they hold, the shell sees words."""

import os
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rookery import run_sync
from rookery.errors import SpawnError, UsageError
from rookery.process.script import shell_command

# Everything that an argument can hold; the shell's own characters come often.
VALUE = st.one_of(
    st.binary(max_size=12).filter(lambda raw: b"\0" not in raw).map(os.fsdecode),
    st.text(alphabet="'\"\\$`(){}[]<>|&;!*?~#=% \t\n-a0", max_size=24),
)
SHELLS = [path for path in ("/bin/sh", "/bin/bash", shutil.which("zsh"), shutil.which("busybox")) if path]
SHOW = """printf '%s\\0' {before} {values} end"""


def ran(command):
    argv = [os.fsencode(part) for part in command.argv]
    return subprocess.run(argv, capture_output=True, check=False, timeout=30)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=VALUE, values=st.lists(VALUE, max_size=3))
def test_no_value_escapes(before, values):
    done = ran(shell_command(SHOW, {"before": before, "values": values}, "/bin/sh", {}))
    assert done.stderr == b""
    assert done.stdout.split(b"\0")[:-1] == [os.fsencode(one) for one in (before, *values, "end")]


# Each of them prints the value, then an x; what the shell is doing around it differs.
CONTEXTS = [
    "printf %sx {v}",
    'y={v}; printf %sx "$y"',
    "y={v} sh -c 'printf %sx \"$y\"'",
    "f() { printf %sx {v}; }; f other 'words'",
    "(printf %sx {v})",
    "{ printf %sx {v}; }",
    "if [ {v} = {v} ]; then printf %sx {v}; fi",
    "case {v} in {v}) printf %sx {v};; *) echo other;; esac",
    'for one in {v}; do printf %sx "$one"; done',
    'y=$(printf %s. {v}); printf %sx "${y%.}"',
    "printf %sx {v} | cat",
    "printf %s {v}x",
    "printf %s a{v}x | tail -c +2",
    ": \"it's\" '\"' `echo a` $((1 + 1)) ${HOME} \\' # a comment with ' in it\nprintf %sx {v}",
    "printf %sx {v} <<END\n'$(echo bad)\nEND",
    "printf %sx {v} & wait",
    "true && printf %sx {v} || echo other",
    "set -f; printf %sx {v}",
]


def in_a_folder_with_files(command, folder):
    (folder / "a0").touch()  # which a glob would find
    argv = [os.fsencode(part) for part in command.argv]
    return subprocess.run(argv, capture_output=True, check=False, timeout=30, cwd=folder)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("script", CONTEXTS)
@given(value=VALUE)
@example(value="")
@example(value="-n")
@example(value="--")
@example(value="a0*")
@example(value="*\n?\n[a]\n")
@example(value="'\"\\`$(echo bad >&2)${HOME}$'\\n'")
@example(value=os.fsdecode(b"\xff\xfe\x80'"))
@example(value="{v}")
@example(value="~root/$HOME")
def test_no_value_escapes_from_where_it_stands(script, value, tmp_path):
    done = in_a_folder_with_files(shell_command(script, {"v": value}, "/bin/sh", {}), tmp_path)
    assert done.stderr == b""
    assert done.stdout == os.fsencode(value) + b"x"
    assert os.listdir(tmp_path) == ["a0"]


@pytest.mark.parametrize("value", ["a\0b", "\ud83d"])
def test_what_no_argument_can_hold_is_refused_by_name(value):
    with pytest.raises(SpawnError, match="holds what no argument can"):
        run_sync(shell_command("echo {x}", {"x": value}, "/bin/sh", {}))


@pytest.mark.parametrize(
    "script",
    [
        "[[ {x} -eq 1 ]]", "if [[ -n a && {x} -lt 2 ]]; then :; fi", "echo $[ {x} + 1 ]", "a[{x}]=1",
        "[[ a =~ [[:alpha:]] && {x} -eq 1 ]]", 'a[" ]"{x}]=1', "((y = {x}))", "for ((i={x}; i<1; i++)); do :; done",
    ],
)  # fmt: skip
def test_a_value_is_never_calculated_with(script):
    """Here bash would run what a value like a[$(id)] holds."""
    with pytest.raises(UsageError, match="stands inside"):
        shell_command(script, {"x": "a[$(echo bad >&2)]"}, "/bin/bash", {})


@pytest.mark.parametrize(
    "script",
    ["cat <<< {x}", "ls a[0-9] >/dev/null; printf %s {x}; echo", "[[ -n a ]] && echo {x}", "[ -n {x} ] && echo {x}"],
)
def test_what_looks_like_it_and_is_not(script, tmp_path):
    done = in_a_folder_with_files(shell_command(script, {"x": "a b"}, "/bin/bash", {}), tmp_path)
    assert (done.stdout, done.stderr) == (b"a b\n", b"")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "script",
    [
        "printf %s {x}",
        "f() { printf %s {x}; }; f other",
        "(cd / && printf %s {x})",
        "a=$(printf %s {x}; echo .); printf %s \"${a%.?}\" | sed 's/\\.$//'",
        'for one in {x}; do printf %s "$one"; done',
        "case {x} in *) printf %s {x};; esac",
        "set -eu; printf %s {x}",
        "printf '%s' \\\n{x}",
        "awk 'BEGIN { printf \"\" } {print}' </dev/null; printf %s {x} # a comment about ${HOME}",
    ],
)  # fmt: skip
def test_where_a_word_may_stand(shell, script):
    value = "$(echo bad) 'a' \"b\" ; `id` * \\"
    done = ran(shell_command(script, {"x": value}, shell, {}))
    assert (done.stdout.decode(), done.stderr) == (value, b"")


@pytest.mark.parametrize(
    "script",
    [
        "echo '{x}'", 'echo "{x}"', 'echo "a $(echo {x})"', "echo `echo {x}`", "echo ${y:-{x}}", "echo $(({x}+1))",
        "cat <<END\n{x}\nEND", "true # {x}", "echo $'{x}'", "echo \"it's\" '{x}'", 'echo "\\"{x}"',
    ],
)  # fmt: skip
def test_where_a_word_may_not_stand(script):
    with pytest.raises(UsageError, match="stands inside"):
        shell_command(script, {"x": "1"}, "/bin/sh", {})


def test_what_is_missing_is_said():
    with pytest.raises(UsageError, match=r"no placeholder \{y\}"):
        shell_command("echo {x}", {"x": 1, "y": 2}, "/bin/sh", {})
    with pytest.raises(UsageError, match=r"no value for \{z\}"):
        shell_command("echo {x} {z}", {"x": 1}, "/bin/sh", {})
    with pytest.raises(UsageError, match="not to '/usr/bin/fish'"):
        shell_command("echo {x}", {"x": 1}, "/usr/bin/fish", {})
    with pytest.raises(UsageError, match="an argument is"):
        shell_command("echo {x}", {"x": {"a": 1}}, "/bin/sh", {})


def test_without_values_a_script_is_taken_as_it_is():
    command = shell_command("awk '{print $1}' {x}", None, "/bin/sh", {})
    assert command.argv == ("/bin/sh", "-c", "awk '{print $1}' {x}")


def test_the_command_is_shown_as_it_could_have_been_written():
    command = shell_command("grep {what} {files} | wc -l", {"what": "a b", "files": ["x", "it's"]}, "/bin/sh", {})
    assert command.shown == "grep 'a b' x 'it'\"'\"'s' | wc -l"
