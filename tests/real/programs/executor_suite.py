"""CPython's tests of executors, with rookery.ProcessPool in the place of ProcessPoolExecutor.

Left out are those that look at private parts of ProcessPoolExecutor; each has its reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from concurrent.futures import BrokenExecutor

from rookery.errors import PoolClosed, PoolError
from rookery.pool.processes.process_pool import ProcessPool
from rookery.pool.values.pickling import RemoteTraceback

EXCLUDED = {
    "FailingInitializer": "reads executor._broken: a pool of ours is never broken",
    "test_processes_terminate": "reads executor._processes",
    "test_context_manager_shutdown": "reads executor._processes",
    "test_del_shutdown": "reads executor._executor_manager_thread",
    "test_shutdown_no_wait": "reads executor._executor_manager_thread",
    "test_killed_child": "kills one of executor._processes and wants the pool to be broken afterwards",
    "test_saturation": "reads executor._processes",
    "test_idle_process_reuse_one": "reads executor._processes",
    "test_idle_process_reuse_multiple": "reads executor._processes",
    "test_max_tasks_per_child": "reads executor._processes",
    "test_max_tasks_per_child_defaults_to_spawn_context": "reads executor._mp_context",
    "test_hang_gh83386": "is skipped by itself for process pools, and its script lacks an import",
    "test_shutdown_deadlock": "reads executor._executor_manager_thread",
    "test_shutdown_deadlock_pickle": "reads executor._executor_manager_thread",
    "test_crash_big_data": "replaces executor._executor_manager_thread",
    "test_gh105829_should_not_deadlock_if_wakeup_pipe_full": "replaces executor._executor_manager_thread_wakeup",
    "test_python_finalization_error": "replaces the module's _start_new_thread",
    "test_map_buffersize": "of a later version's Executor, which submits as it is iterated",
    "test_terminate_workers": "reads executor._processes",
    "test_kill_workers": "reads executor._processes",
    "test_force_shutdown": "reads executor._processes",
    "test_process_fork_from_a_threaded_process": "is about multiprocessing's fork",
}


FAILED = (BrokenExecutor, PoolError)
"""Where ProcessPoolExecutor breaks, only that task fails here; what cannot be unpickled fails with its own error."""


class Executor(ProcessPool):
    """Takes ProcessPoolExecutor's arguments."""

    def __init__(self, max_workers=None, mp_context=None, initializer=None, initargs=(), *, max_tasks_per_child=None):
        super().__init__(
            max_workers, initializer=initializer, initargs=initargs, max_tasks_per_worker=max_tasks_per_child
        )
        super().submit(int).result()  # a worker is there: shutdown(cancel_futures=True) finds a task that has begun

    def submit(self, fn, /, *args, **kwargs):
        try:
            return super().submit(fn, *args, **kwargs)
        except PoolClosed as error:  # which is a RuntimeError; one test reads the name in a traceback
            raise RuntimeError(str(error)) from error


def run_script(*args, **_):
    """In place of assert_python_ok: the script finds the same executor."""
    prelude = f"import sys; sys.path[:0] = {sys.path!r}\n"
    code = args[-1].replace("from concurrent.futures import Executor\n", "from executor_suite import Executor\n")
    if code.lstrip().startswith("if"):
        code = "\n" + code
    done = subprocess.run([sys.executable, "-c", prelude + code], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.returncode, done.stdout, done.stderr


def suite(module):
    """The tests of all classes that are made for processes started by "spawn", but the excluded ones."""
    found = unittest.TestSuite()
    for name, kind in sorted(vars(module).items()):
        if not (name.startswith("ProcessPoolSpawn") and isinstance(kind, type) and issubclass(kind, unittest.TestCase)):
            continue
        if any(word in name for word in EXCLUDED):
            continue
        kind.executor_type = Executor
        for test in unittest.defaultTestLoader.loadTestsFromTestCase(kind):
            if test._testMethodName not in EXCLUDED:
                found.addTest(test)
    return found


def share_of(tests):
    """Every SHARES-th test, from the SHARE-th on: much of their time is sleep, so several processes do them."""
    number, count = int(os.environ.get("SHARE", "0")), int(os.environ.get("SHARES", "1"))
    return unittest.TestSuite(list(flat(tests))[number::count])


def flat(tests):
    for one in tests:
        if isinstance(one, unittest.TestSuite):
            yield from flat(one)
        else:
            yield one


def main():
    sys.path.insert(0, os.environ["SUITE"])
    import importlib

    names = ["test.test_concurrent_futures"]
    folder = os.path.join(os.environ["SUITE"], "test", "test_concurrent_futures")
    if os.path.isdir(folder):
        wanted = ("test_init", "test_shutdown", "test_wait", "test_as_completed", "test_process_pool", "test_deadlock")
        names = [f"test.test_concurrent_futures.{name}" for name in wanted]
    tests = unittest.TestSuite()
    for name in names:
        module = importlib.import_module(name)
        for one, value in (("BrokenProcessPool", FAILED), ("assert_python_ok", run_script)):
            if hasattr(module, one):
                setattr(module, one, value)
        RemoteTraceback.tb = property(str)
        module.futures.process._RemoteTraceback = RemoteTraceback
        tests.addTests(suite(module))
    result = unittest.TextTestRunner(verbosity=2).run(share_of(tests))
    print(f"ran {result.testsRun} failed {len(result.failures) + len(result.errors)} skipped {len(result.skipped)}")
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
