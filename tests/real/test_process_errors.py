"""A start that fails says why, and leaves nothing behind: the leak check looks after every one of these."""

import errno
import os
import resource
import sys
import tempfile

import pytest

import rookery
from rookery import errors
from rookery._os import kernel
from rookery.process.exec_call import Tools, suspends
from rookery.process.spawn import spawn_process
from rookery.process.spec import SpawnSpec
from rookery.testing.wire import Wire, python

pytestmark = pytest.mark.real


@pytest.fixture
def folder(tmp_path):
    for name, text, mode in [
        ("good", "#!/bin/sh\n", 0o755),
        ("plain", "#!/bin/sh\n", 0o644),
        ("lost", "#!/nonexistent/interpreter\n", 0o755),
        ("noise", "\x01\x02\x03 no program", 0o755),
    ]:
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    return tmp_path


LONG = "x" * 3_000_000


@pytest.mark.parametrize("rlimits", [{}, {"core": 0}], ids=["direct", "gate"])
@pytest.mark.parametrize(
    ("argv", "options", "error", "says"),
    [
        (("godo",), {}, errors.CommandNotFound, "could not start 'godo': no such command"),
        (("./godo",), {"cwd": "{}"}, errors.CommandNotFound, "no such command"),
        (("{}/good/x",), {}, errors.CommandNotFound, "no such command"),
        (("good",), {"env": {"PATH": ""}}, errors.CommandNotFound, "no such command"),
        (("plain",), {}, errors.CommandNotExecutable, "may not be executed"),
        (("{}",), {}, errors.CommandNotExecutable, "may not be executed"),
        (("good",), {"cwd": "{}/missing"}, errors.DirectoryMissing, "cannot work in"),
        (("good",), {"cwd": "{}/good"}, errors.DirectoryMissing, "cannot work in"),
        (("good",), {"cwd": "{}\0"}, errors.DirectoryMissing, "cannot work in"),
        (("good", "a\0b"), {}, errors.SpawnError, "holds what no argument can"),
        (("good", "\ud800"), {}, errors.SpawnError, "holds what no argument can"),
        (("good",), {"env": {"A=B": "c"}}, errors.SpawnError, "'A=B' cannot be passed on"),
        (("good",), {"env": {"A": "\0"}}, errors.SpawnError, "'A' cannot be passed on"),
        (("",), {}, errors.SpawnError, "the command is empty"),
        ((), {}, errors.SpawnError, "the command is empty"),
        (("good", LONG), {}, errors.SpawnError, "too long"),
        (("good",), {"rlimits": {"files": 1}}, errors.SpawnError, "unknown limit 'files'"),
    ],
)
def test_what_cannot_be_started_says_why(folder, argv, options, error, says, rlimits):
    options = {"env": {"PATH": str(folder)}, "rlimits": rlimits, **options}
    if "cwd" in options:
        options["cwd"] = options["cwd"].format(folder)
    spec = SpawnSpec(tuple(part.format(folder) if part != LONG else part for part in argv), **options)
    with pytest.raises(errors.SpawnError) as raised:
        spawn_process(spec, {})
    assert type(raised.value) is error
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("name", "says"), [("lost", "names an interpreter that is not there"), ("noise", "no program that this machine")]
)
def test_what_is_executable_and_no_program_says_why(folder, name, says):
    with pytest.raises(errors.CommandNotExecutable, match=says):
        spawn_process(SpawnSpec((f"{folder}/{name}",)), {})


def test_the_error_names_similar_commands(folder):
    with pytest.raises(errors.CommandNotFound) as raised:
        spawn_process(SpawnSpec(("godo",), env={"PATH": str(folder)}), {})
    assert raised.value.hint == "did you mean good?"


def test_a_descriptor_that_is_not_open():
    with pytest.raises(errors.SpawnError, match=os.strerror(errno.EBADF)):
        spawn_process(SpawnSpec(("/bin/true",)), {1: 987})
    with pytest.raises(errors.SpawnError, match=os.strerror(errno.EBADF)):
        spawn_process(SpawnSpec(("/bin/true",)), {5: 987})


AS_NOBODY = """
import os, sys
sys.path.insert(0, sys.argv[1])
import rookery
from rookery import errors
from rookery._os import kernel
from rookery.process.spawn import spawn_process
from rookery.process.spec import SpawnSpec
closed = sys.argv[2]
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for spec in (SpawnSpec(("/bin/true",), uid=0), SpawnSpec(("/bin/true",), gid=0), SpawnSpec(("/bin/true",), cwd=closed)):
    try:
        spawn_process(spec, {})
    except errors.SpawnError as error:
        print(type(error).__name__, flush=True)
"""


def source_root():
    return os.path.dirname(os.path.dirname(rookery.__file__))


def test_another_user_and_a_closed_folder_for_who_is_not_root():
    with tempfile.TemporaryDirectory(dir="/tmp") as closed, Wire() as wire:
        os.chmod(closed, 0)
        pid = spawn(wire, python(AS_NOBODY, source_root(), closed))
        said = [wire.line() for _ in range(3)]
        os.waitpid(pid, 0)
    assert said == ["UserUnknown", "UserUnknown", "DirectoryMissing"]


def spawn(wire, argv):
    spawned = spawn_process(SpawnSpec(argv, env=dict(os.environ)), wire.fds)
    if spawned.pidfd >= 0:
        os.close(spawned.pidfd)
    return spawned.pid


@pytest.fixture
def few_descriptors():
    """A function that leaves exactly so many descriptors free."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    held = []

    def leave(free):
        while True:
            try:
                held.append(os.dup(2))
            except OSError:
                break
        for _ in range(free):
            os.close(held.pop())

    yield leave
    for fd in held:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("free", range(8))
@pytest.mark.parametrize("fds", [{}, {7: 2, 9: 1}], ids=["plain", "placed"])
def test_too_few_descriptors_at_any_step(few_descriptors, free, fds):
    few_descriptors(free)
    try:
        spawned = spawn_process(SpawnSpec(("/bin/true",)), fds)
    except errors.ResourcesExhausted:
        assert free < 7
    else:
        assert free >= 3
        os.waitpid(spawned.pid, 0)
        if spawned.pidfd >= 0:
            os.close(spawned.pidfd)


@pytest.mark.parametrize("step", ["pidfd_open", "start_time"])
def test_no_descriptor_left_to_own_the_child_with(monkeypatch, step):
    def exhausted(pid):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(kernel, "ticks", lambda: None)  # the clock may tell the start time too
    monkeypatch.setattr(kernel, step, exhausted)
    with pytest.raises(errors.ResourcesExhausted):
        spawn_process(SpawnSpec(("/bin/sleep", "1000")), {})


@pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")
def test_no_descriptor_to_look_with_is_not_taken_for_nobody_there(few_descriptors):
    few_descriptors(0)
    for look in (kernel.facts, kernel.is_alive, lambda pid: list(kernel.processes())):
        with pytest.raises(OSError, match="Too many open files"):
            look(os.getpid())


IGNORING = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import rookery
from rookery import errors
from rookery._os import kernel
from rookery.process.spawn import spawn_process
from rookery.process.spec import SpawnSpec
import asyncio
from rookery.process.local import LocalSpawner
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
try:
    spawn_process(SpawnSpec(("/nonexistent",)), {})
except errors.CommandNotFound:
    print("not found", flush=True)
async def main():
    spawner = LocalSpawner()
    for number in range(20):
        handle = await spawner.spawn(SpawnSpec(("/bin/true",)), "x", number)
        print(await asyncio.wait_for(handle.wait(), 20), flush=True)
asyncio.run(main())
"""


def test_in_a_process_that_ignores_the_end_of_children_the_end_is_seen_all_the_same():
    with Wire() as wire:
        pid = spawn(wire, python(IGNORING, source_root()))
        assert wire.line() == "not found"
        assert {wire.line() for _ in range(20)} == {"ended, nobody saw how"}
        assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")
def test_a_signal_handler_that_raises_during_a_start_leaves_no_child(monkeypatch):
    assert suspends() in (True, False)  # probed by now

    def interrupted(tools, *, is_certain):
        raise KeyboardInterrupt

    monkeypatch.setattr(Tools, "report", interrupted)
    kept = Tools()
    for tools in (None, kept):
        with pytest.raises(KeyboardInterrupt):
            spawn_process(SpawnSpec(("/bin/sleep", "1000")), {}, tools=tools)
    assert kept.read == kept.write == kept.null == -1  # what may be said there is not the next one's
