"""What a process is started with is what it finds."""

import fcntl
import json
import os
import resource
import signal

import pytest

import rookery
from rookery.process.spawn import spawn_process
from rookery.process.spec import SpawnSpec
from rookery.testing.wire import Wire, python

pytestmark = pytest.mark.real
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")

SHOW = """
import json, os, resource, sys
def where(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return None
mask = os.umask(0)
print(json.dumps({
    "argv": sys.argv[1:], "cwd": os.getcwd(), "uid": os.getresuid(), "gid": os.getresgid(),
    "groups": sorted(os.getgroups()), "umask": mask, "session": os.getsid(0) == os.getpid(),
    "fds": {fd: where(fd) for fd in range(3, 80) if where(fd)}, "std": [where(fd) for fd in range(3)],
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE), "as": resource.getrlimit(resource.RLIMIT_AS),
    "cpu": resource.getrlimit(resource.RLIMIT_CPU), "core": resource.getrlimit(resource.RLIMIT_CORE),
}), flush=True)
"""


def run(spec, fds, **options):
    """Start it, and wait for its end."""
    spawned = spawn_process(spec, fds, **options)
    if spawned.pidfd >= 0:
        os.close(spawned.pidfd)
    assert os.waitstatus_to_exitcode(os.waitpid(spawned.pid, 0)[1]) == 0


@pytest.fixture
def wire():
    with Wire() as wire:
        yield wire


@pytest.fixture
def show(wire):
    """Start a program that shows what it finds; fds beside its stdout."""

    def show(*args, fds=None, open_files=None, **options):
        spec = SpawnSpec(python(SHOW, *args), **{"env": {"PATH": os.environ["PATH"]}, **options})
        run(spec, {1: wire.stdout, 2: 2, **(fds or {})}, open_files=open_files)
        return json.loads(wire.line())

    return show


@pytest.fixture
def zero():
    fd = os.open("/dev/zero", os.O_RDONLY | os.O_CLOEXEC)
    yield fd
    os.close(fd)


def test_the_usual(show):
    found = show("an arg", "ö", "")
    assert found["argv"] == ["an arg", "ö", ""]
    assert (found["cwd"], found["session"], found["fds"]) == (os.getcwd(), True, {})
    assert found["std"][0] == "/dev/null"
    assert found["uid"] == [os.getuid()] * 3
    assert found["nofile"] == list(resource.getrlimit(resource.RLIMIT_NOFILE))


def test_folder_mask_and_session(show, tmp_path):
    found = show(cwd=str(tmp_path), umask=0o27, session=False)
    assert (found["cwd"], found["umask"], found["session"]) == (str(tmp_path), 0o27, False)


@as_root
@pytest.mark.parametrize("limits", [{}, {"core": 0}], ids=["direct", "gate"])
@pytest.mark.parametrize("groups", [(), (5, 6)])
def test_another_user(wire, limits, groups):
    script = "grep -E '^(Uid|Gid|Groups):' /proc/self/status"  # the interpreter may be in a folder closed to him
    spec = SpawnSpec(("/bin/sh", "-c", script), uid=65534, gid=65533, groups=groups, rlimits=limits)
    run(spec, {1: wire.stdout})
    found = [wire.line().split()[1:] for _ in range(3)]
    assert found == [["65534"] * 4, ["65533"] * 4, [str(group) for group in groups]]


def test_limits(show):
    found = show(rlimits={"nofile": 99, "as": 3 << 30, "cpu": 77, "core": 0})
    assert (found["nofile"], found["as"], found["cpu"], found["core"]) == ([99] * 2, [3 << 30] * 2, [77] * 2, [0, 0])


@pytest.mark.parametrize("limits", [{}, {"nofile": 99}], ids=["no limits", "limits"])
@pytest.mark.parametrize("numbers", [[3], [63], [3, 4, 5, 64], [70]])
def test_descriptors_above_the_usual_three(show, zero, numbers, limits):
    found = show(fds=dict.fromkeys(numbers, zero), rlimits=limits)
    assert found["fds"] == {str(number): "/dev/zero" for number in numbers}


def test_a_descriptor_that_has_its_number_already(show, zero):
    assert show(fds={zero: zero})["fds"] == {str(zero): "/dev/zero"}


def test_descriptors_that_change_places(show, zero):
    other = os.open("/dev/full", os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = show(fds={zero: other, other: zero})
        assert found["fds"] == {str(zero): "/dev/full", str(other): "/dev/zero"}
    finally:
        os.close(other)


def test_ours_stay_ours_and_close_on_exec(show, zero):
    before = (os.fstat(zero).st_ino, fcntl.fcntl(zero, fcntl.F_GETFD))
    show(fds={0: zero, 7: zero})
    assert (os.fstat(zero).st_ino, fcntl.fcntl(zero, fcntl.F_GETFD)) == before


def test_the_open_file_limit_given_back_is_the_childs_alone(show):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (500, hard))
    try:
        assert show(open_files=123)["nofile"] == [123, hard]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (500, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("env", [{}, {"PWD": "/"}, {"LC_CTYPE": "C"}, {"LC_CTYPE": "C.UTF-8", "A": "ö"}])
@pytest.mark.parametrize("gates", ["none", "limits", "place", "both"])
def test_the_environment_is_exactly_the_one_given(wire, zero, env, gates):
    limits = {"core": 0} if gates in {"limits", "both"} else {}
    fds = {9: zero} if gates in {"place", "both"} else {}
    spec = SpawnSpec(("/usr/bin/env",), env={**env, "END": "1"}, cwd="/", rlimits=limits)
    run(spec, {1: wire.stdout, **fds})
    os.write(wire.stdout, b"that is all\n")
    assert sorted(iter(wire.line, "that is all")) == sorted(
        f"{key}={value}" for key, value in {**env, "END": "1"}.items()
    )


FILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from rookery.process.spawn import fill_low_numbers, move_above, spawn_process
from rookery.process.spec import SpawnSpec
log = move_above(os.dup(1), 100)
mine = os.open("/dev/full", os.O_RDWR)  # a low number that is ours
filler = fill_low_numbers(20)
zero = os.open("/dev/zero", os.O_RDONLY)
assert zero > 20
def look(*numbers):
    code = '''if True:
        import os
        def where(fd):
            try: return os.readlink(f"/proc/self/fd/{fd}")
            except OSError: return None
        print({fd: where(fd) for fd in range(3, 80) if where(fd)}, flush=True)'''
    spec = SpawnSpec((sys.executable, "-I", "-S", "-c", code))
    pid = spawn_process(spec, {1: 1, 2: 2, **dict.fromkeys(numbers, zero)}, filler=filler).pid
    os.waitpid(pid, 0)
    ours = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in [*range(3, 20), zero]}
    nulls = set(ours) - {mine, zero}
    assert all(ours[fd] == "/dev/null" for fd in nulls), ours
    assert (ours[mine], ours[zero]) == ("/dev/full", "/dev/zero"), ours
look()
look(5)
look(7, 8, 19)
look(mine)
look(zero - 1 if zero - 1 > 20 else 21)
look(zero)
look(60)
print("done", mine, zero, flush=True)
"""


def test_a_process_with_filled_numbers_places_them_itself_and_never_loses_its_own(wire):
    spec = SpawnSpec(python(FILLED, os.path.dirname(os.path.dirname(rookery.__file__))))
    run(spec, wire.fds)
    os.write(wire.stdout, b"end\n")
    *seen, done = iter(wire.line, "end")
    _, mine, zero = done.split()
    looked = [[], [5], [7, 8, 19], [int(mine)], [max(21, int(zero) - 1)], [int(zero)], [60]]
    assert seen == [str(dict.fromkeys(sorted(numbers), "/dev/zero")) for numbers in looked]


@pytest.mark.parametrize("gates", ["none", "limits", "place"])
def test_signals_ignored_here_are_not_ignored_there(wire, zero, gates):
    # The interpreter ignores SIGPIPE: this one, and the one that places descriptors.
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
    limits = {"core": 0} if gates == "limits" else {}
    spec = SpawnSpec(("/bin/grep", "SigIgn", "/proc/self/status"), rlimits=limits)
    run(spec, {1: wire.stdout, **({9: zero} if gates == "place" else {})})
    ignored = int(wire.line().split()[1], 16)  # what the run itself was started with may be in it too
    assert [number for number in (signal.SIGPIPE, signal.SIGXFSZ) if ignored & 1 << number - 1] == []
