"""The leak check sees each kind of thing that a test may leave behind, and names it."""

import gc
import os
import signal
import subprocess
import sys
import threading

import pytest

from rookery._os import kernel
from rookery.testing import leaks, wait_until

pytest_plugins = ["pytester"]

needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
SLEEPER = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"]
ORPHAN = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(1, b"%d\\n" % os.getpid())
        os.close(1)
        sys.stdin.read()
    os._exit(0)
os.wait()
"""


@pytest.fixture
def short_wait(monkeypatch):
    monkeypatch.setattr(leaks, "_SETTLE", 0.05)


@pytest.fixture
def before(short_wait):
    return leaks.take()


@pytest.fixture
def lifeline():
    """A pipe: whoever reads it ends when the test does."""
    read, write = os.pipe()
    yield read
    os.close(read)
    os.close(write)


def found(before):
    (one,) = leaks.differences(before)
    return one


def test_nothing(before):
    assert leaks.differences(before) == []


@needs_proc
def test_an_open_descriptor(before):
    fd = os.open("/dev/null", os.O_RDONLY)
    assert found(before) == f"open descriptor {fd} (/dev/null)"
    leaks.clean_up(before)
    assert leaks.differences(before) == []


@needs_proc
def test_a_number_that_became_another_file(short_wait):
    fd = os.open("/dev/null", os.O_RDONLY)
    before = leaks.take()
    other = os.open("/dev/zero", os.O_RDONLY)
    os.dup2(other, fd)
    os.close(other)
    assert found(before) == f"open descriptor {fd} (/dev/zero)"
    os.close(fd)


@needs_proc
def test_a_running_child(lifeline, before):
    pid = os.posix_spawn(SLEEPER[0], SLEEPER, {}, file_actions=[(os.POSIX_SPAWN_DUP2, lifeline, 0)])
    wait_until(lambda: "sys.stdin.read" in " ".join(kernel.command_line(pid)))
    assert found(before).startswith(f"process {pid} (")
    leaks.clean_up(before)
    assert leaks.differences(before) == []


@needs_proc
def test_a_zombie(before):
    pid = os.posix_spawn("/bin/true", ["/bin/true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert found(before) == f"process {pid} (Z [true])"
    leaks.clean_up(before)
    assert leaks.differences(before) == []


@needs_proc
def test_an_orphaned_grandchild_in_a_session_of_its_own(lifeline, before):
    out_read, out_write = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, lifeline, 0), (os.POSIX_SPAWN_DUP2, out_write, 1)]
    argv = [sys.executable, "-I", "-S", "-c", ORPHAN]
    child = os.posix_spawn(argv[0], argv, {}, file_actions=actions)
    os.close(out_write)
    with open(out_read) as out:
        pid = int(out.readline())
    os.waitpid(child, 0)
    assert found(before).startswith(f"process {pid} (")
    leaks.clean_up(before)
    assert leaks.differences(before) == []


def test_a_thread(before):
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten", daemon=True)
    thread.start()
    assert found(before) == "thread forgotten"
    end.set()
    thread.join()


def test_a_signal_handler(before):
    signal.signal(signal.SIGUSR1, lambda *_: None)
    assert found(before) == "handler of SIGUSR1"
    leaks.clean_up(before)
    assert leaks.differences(before) == []


def test_environment_and_working_directory(before, tmp_path):
    os.environ["FORGOTTEN"] = "1"
    os.chdir(tmp_path)
    assert leaks.differences(before) == ["environment: FORGOTTEN", f"working directory {tmp_path}"]
    leaks.clean_up(before)
    assert leaks.differences(before) == []


def test_what_goes_in_time_is_no_leak(monkeypatch):
    monkeypatch.setattr(leaks, "_SETTLE", 20.0)
    before = leaks.take()
    seen = threading.Event()
    thread = threading.Thread(target=seen.wait, daemon=True)
    thread.start()
    compare = leaks._compare
    monkeypatch.setattr(leaks, "_compare", lambda *args: [compare(*args), seen.set()][0])
    assert leaks.differences(before) == []
    thread.join()


@needs_proc
def test_what_only_the_garbage_collector_closes_is_given_to_it(before):
    class Holder:
        def __init__(self):
            self.fd = os.open("/dev/null", os.O_RDONLY)
            self.me = self

        def __del__(self):
            os.close(self.fd)

    gc.disable()
    try:
        Holder()
        assert len(leaks._compare(before, leaks.take())) == 1
        assert leaks.differences(before) == []
    finally:
        gc.enable()


def test_the_plugin_fails_the_test_that_leaks_and_no_other(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # ours is what is tested
    pytester.makeconftest("from rookery.testing import leaks; leaks._SETTLE = 0.05")
    pytester.makepyfile(
        """
        import os, pytest

        def test_leaks():
            os.open("/dev/zero", os.O_RDONLY)

        def test_does_not():
            assert not any("zero" in os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))

        @pytest.mark.leaks("/dev/zero")
        def test_may():
            os.open("/dev/zero", os.O_RDONLY)
        """
    )
    result = pytester.runpytest_subprocess("-p", "rookery.testing.plugin", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_leaks*", "left behind: open descriptor * (/dev/zero)"])


def test_the_run_is_a_subreaper():
    assert kernel.is_subreaper() or sys.platform == "darwin"
    assert subprocess.run(["/bin/true"], check=True).returncode == 0
