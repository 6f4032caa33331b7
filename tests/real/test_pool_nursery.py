"""Where the workers of a pool come from: what they are, how they end, and what they may do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import pytest
from nursery_harness import Grown, until

from capabilities import DEADLINE
from rookery import run
from rookery._base.clock import SystemClock
from rookery._base.ids import COOKIE
from rookery._os import features, kernel
from rookery.errors import SpawnError, UsageError
from rookery.lifecycle.stop import StopPlan
from rookery.process.stop import stop
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform == "darwin", reason="needs /proc")]


@pytest.fixture(params=["", "pidfd"])
def without(request, monkeypatch):
    if request.param:
        monkeypatch.setenv(features.WITHOUT, request.param)
    features.forget()
    yield request.param
    monkeypatch.undo()
    features.forget()


# -- how they end -----------------------------------------------------------------------------------------------------

ENDS = [
    ("return", 0, None),
    ("exit 0", 0, None),
    ("exit 3", 3, None),
    ("exit 259", 3, None),
    ("text", 1, None),
    ("builtin", 5, None),
    ("raise", 1, None),
    ("_exit 9", 9, None),
    ("signal 9", None, 9),
    ("signal 15", None, 15),
    ("segv", None, 11),
]


@pytest.mark.parametrize(("how", "code", "number"), ENDS)
async def test_the_exit_is_exact(how, code, number):
    async with Grown() as grown:
        worker = await grown.start(f"ends {how}")
        assert (await worker.hear())["pid"] == worker.handle.pid
        assert worker.handle.is_running
        assert worker.handle.status is None
        worker.let_go()
        status = await worker.end()
        assert (status.code, status.signal) == (code, number)
        assert worker.handle.status == status
        assert not worker.handle.signal(signal.SIGKILL)


async def test_ends_are_exact_without_pidfds_too(without):
    async with Grown() as grown:
        workers = [await grown.start(f"ends {how}") for how, _, _ in ENDS]
        for worker in workers:
            await worker.hear()
            worker.let_go()
        found = [await worker.end() for worker in workers]
        assert [(status.code, status.signal) for status in found] == [(code, number) for _, code, number in ENDS]


async def test_the_traceback_of_a_worker_goes_where_it_was_told():
    read, write = os.pipe()
    try:
        async with Grown() as grown:
            worker = await grown.start("ends raise", stderr=write)
            worker.let_go()
            await worker.end()
        os.close(write)
        said = os.read(read, 65536).decode()
    finally:
        os.close(read)
    assert "ValueError: this and that" in said
    assert "_born" not in said  # nothing of the server's


async def test_what_is_printed_comes_in_whole_lines_and_once():
    (out, their_out), (err, their_err) = os.pipe(), os.pipe()
    try:
        async with Grown(fault="prints", env={"PYTHONUNBUFFERED": None}) as grown:
            workers = [
                await grown.start(call, stdout=their_out, stderr=their_err) for call in ("prints", "prints kill")
            ]
            assert [(await worker.end()).returncode for worker in workers] == [0, -signal.SIGKILL]
        os.close(their_out)
        os.close(their_err)
        said = os.read(out, 65536).decode()
        assert said.count("a line\n") == 2
        assert said.replace("a line\n", "") == "no end"
        assert os.read(err, 65536).decode() == "to stderr\n" * 2
    finally:
        os.close(out)
        os.close(err)


async def test_many_wait_and_one_may_leave():
    async with Grown() as grown:
        worker = await grown.start("greets")
        called = []
        worker.handle.on_exit(called.append)
        waits = [asyncio.ensure_future(worker.handle.wait()) for _ in range(3)]
        await worker.hear()
        waits[0].cancel()
        worker.let_go()
        assert [status.code for status in await asyncio.gather(*waits[1:])] == [0, 0]
        assert called == [worker.handle]
        worker.handle.on_exit(called.append)
        assert called == [worker.handle] * 2


async def test_a_failing_callback_disturbs_nobody():
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    async with Grown() as grown:
        worker = await grown.start("greets")
        called = []
        worker.handle.on_exit(lambda _: 1 / 0)
        worker.handle.on_exit(called.append)
        worker.let_go()
        await worker.end()
        assert called == [worker.handle]
        assert len(told) == 1


# -- what they are ----------------------------------------------------------------------------------------------------


async def test_a_worker_finds_what_a_program_of_the_parent_would_find(monkeypatch):
    monkeypatch.setenv("NURSERY_GONE", "1")
    monkeypatch.setattr(sys, "argv", ["/some/program", "-x"])
    async with Grown(env={"NURSERY_SET": "2", "NURSERY_GONE": None}, name="tried") as grown:
        one, two = [await grown.start("tells_all", name=name) for name in ("one", "two")]
        seen, other = await one.hear(), await two.hear()
        assert [entry for entry in seen["path"] if entry in sys.path] == sys.path
        assert seen["argv"] == ["/some/program", "-x"]
        assert seen["prefix"] == sys.prefix
        assert seen["environ"]["NURSERY_SET"] == "2"
        assert "NURSERY_GONE" not in seen["environ"]
        assert seen["sigint"]
        assert seen["ignored"] == ["SIGINT", "SIGPIPE", "SIGXFSZ"]
        assert seen["blocked"] == 0
        assert seen["stdin"] == "/dev/null"
        assert seen["folder"] == os.getcwd()
        assert seen["session"] == seen["pid"] == one.handle.pid
        assert seen["ppid"] == grown.nursery.server_pid
        assert seen["threads"] == 1
        assert seen["main"] is None
        # Its own standard streams, and what it was given: nothing of the server's, nothing of ours.
        assert sorted(map(int, seen["open"]))[:3] == [0, 1, 2]
        assert len(seen["open"]) == 4
        assert seen["hash"] == other["hash"]
        assert seen["cookie"] == one.handle.cookie != other["cookie"]
        assert kernel.environ_value(one.handle.pid, COOKIE) == one.handle.cookie
        assert " ".join(kernel.command_line(one.handle.pid)).startswith("rookery: pool worker one")
        assert kernel.start_time(one.handle.pid) == one.handle.start_time


async def test_flags_and_ignored_signals_of_the_parent():
    code = """if True:
        import asyncio, json, signal, sys
        sys.path[:0] = json.loads(sys.argv[1])
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        from nursery_harness import Grown, until
        async def main():
            async with Grown() as grown:
                print(json.dumps(await (await grown.start("tells_all")).hear()))
        asyncio.run(main())
    """
    folders = json.dumps(list(filter(None, sys.path)))
    command = [sys.executable, "-O", "-X", "dev", "-X", "utf8=1", "-W", "error::UserWarning", "-c", code, folders]
    ran = await run(*command, timeout=DEADLINE * 2)
    seen = json.loads(ran.stdout)
    assert seen["flags"] == [1, True, 1]
    assert seen["warnoptions"] == ["default", "error::UserWarning"]
    assert seen["ignored"] == ["SIGINT", "SIGPIPE", "SIGXFSZ"]
    assert seen["blocked"] == 0


async def test_random_numbers_are_each_workers_own():
    pytest.importorskip("numpy")
    async with Grown(preload=("random", "numpy.random")) as grown:
        workers = [await grown.start("numbers") for _ in range(3)]
        seen = [await worker.hear() for worker in workers]
        assert len({one["random"] for one in seen}) == 3
        assert len({one["numpy"] for one in seen}) == 3


async def test_a_worker_ends_as_a_program_does_and_leaves_the_servers_end_to_it(tmp_path):
    said = tmp_path / "said"
    async with Grown(fault=f"atexit_here {said}", preload=("multiprocessing.util",)) as grown:
        workers = [await grown.start(f"leaves_things {said}") for _ in range(2)]
        for worker in workers:
            await worker.hear()
            worker.let_go()
            assert (await worker.end()).code == 0
        assert sorted(said.read_text().split("\n")) == sorted(["", *["atexit", "finalize", "multiprocessing"] * 2])
    assert said.read_text().split("\n")[6:] == ["finalize of the server", "of the server", ""]


async def test_a_preload_that_has_threads_may_be_forked():
    async with Grown(fault="threaded") as grown:
        worker = await grown.start("tells_all")
        assert (await worker.hear())["threads"] == 1


async def test_what_only_site_makes_importable_is_found(tmp_path):
    import venv

    folder = tmp_path / "env"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (tmp_path / "hidden_module.py").write_text("")
    (site / "finder_of_hidden.py").write_text(
        "import importlib.util, sys\n"
        "class Finder:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'hidden_module':\n"
        f"            return importlib.util.spec_from_file_location(name, {str(tmp_path / 'hidden_module.py')!r})\n"
        "sys.meta_path.append(Finder)\n"
    )
    (site / "hidden.pth").write_text("import finder_of_hidden\n")
    code = """if True:
        import asyncio, json, sys
        sys.path[:0] = json.loads(sys.argv[1])
        from nursery_harness import Grown, until
        async def main():
            async with Grown() as grown:
                print(json.dumps(await (await grown.start("looks_again hidden_module")).hear()))
            async with Grown(preload=("hidden_module",)) as grown:
                print(json.dumps(await (await grown.start("looks_again hidden_module")).hear()))
        asyncio.run(main())
    """
    folders = json.dumps(list(filter(None, sys.path)))
    command = [folder / "bin" / "python", "-c", code, folders]
    ran = await run(*command, timeout=DEADLINE * 2)
    lazily, preloaded = map(json.loads, ran.stdout.splitlines())
    assert lazily == {"seen": ["missing", "hidden_module"], "again": True, "twice": False}
    assert preloaded["seen"] == ["hidden_module"] * 2


# -- their trees ------------------------------------------------------------------------------------------------------


async def test_a_workers_tree_is_its_own_and_whole(without):
    async with Grown() as grown:
        worker, other = await grown.start("has_family"), await grown.start("greets")
        family = (await worker.hear())["pids"]
        await other.hear()
        tree = worker.handle.tree()
        assert {pid for pid, _ in tree.members()} == {worker.handle.pid, *family}
        # It ignores SIGTERM.
        forced = await stop(worker.handle, tree, StopPlan(graceful_timeout=0.2), SystemClock())
        assert forced
        assert worker.handle.status.signal == signal.SIGKILL
        assert not any(map(kernel.is_alive, family))
        assert other.handle.is_running


async def test_closing_ends_everything_that_is_left():
    async with Grown() as grown:
        workers = [await grown.start("has_family") for _ in range(2)]
        families = [(await worker.hear())["pids"] for worker in workers]
        server = grown.nursery.server_pid
    assert not any(kernel.is_alive(pid) for pid in [server, *families[0], *families[1]])
    assert grown.nursery.workers == []
    with pytest.raises(UsageError):
        await grown.nursery.start_worker("late", [], b"")


async def test_killing_all_at_once_waits_for_nothing():
    async with Grown() as grown:
        worker = await grown.start("has_family")
        family = (await worker.hear())["pids"]
        grown.nursery.kill_now()
        wait_until(lambda: not any(map(kernel.is_alive, family)), DEADLINE, "the family's end")


async def test_a_cancelled_close_kills_all():
    async with Grown() as grown:
        worker = await grown.start("has_family")
        family = (await worker.hear())["pids"]
        closing = asyncio.ensure_future(grown.nursery.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        wait_until(lambda: not any(map(kernel.is_alive, family)), DEADLINE, "the family's end")


# -- starting ---------------------------------------------------------------------------------------------------------


async def test_many_are_started_at_once_and_none_has_what_is_anothers(without):
    async with Grown() as grown:
        workers = await asyncio.gather(*(grown.start("tells_all", name=f"n{number}") for number in range(20)))
        seen = [await worker.hear() for worker in workers]
        assert len({one["pid"] for one in seen}) == 20
        assert all(len(one["open"]) == 4 for one in seen)
        assert len({one["cookie"] for one in seen}) == 20


async def test_a_large_argument_and_many_descriptors():
    async with Grown() as grown:
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            sizes = [3 << 20, 0, 3 << 20, 0, 0]
            calls = (grown.start("tells_all " + "x" * size, more=[null] * 200) for size in sizes)
            for size, worker in zip(sizes, await asyncio.gather(*calls), strict=True):
                seen = await worker.hear()
                assert (seen["rest"], len(seen["open"])) == (size, 204)
            with pytest.raises(UsageError, match="250"):
                await grown.start("greets", more=[null] * 250)
        finally:
            os.close(null)


async def test_a_descriptor_that_is_none_fails_that_start_alone():
    async with Grown() as grown:
        with pytest.raises(SpawnError):
            await grown.start("greets", more=[1_000_000])
        assert await (await grown.start("greets")).hear()


@pytest.mark.parametrize("turns", range(12))
async def test_who_is_cancelled_leaves_nothing(turns):
    async with Grown() as grown:
        if turns % 2:
            await grown.start("greets")
        start = asyncio.ensure_future(grown.start("greets"))
        for _ in range(turns // 2):
            await asyncio.sleep(0)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        server = grown.nursery.server_pid
        left = 1 if turns % 2 else 0
        after = await grown.start("greets")  # the server has come past the one that was cancelled
        await after.hear()
        await until(lambda: server is None or len(kernel.children(server)) == left + 1, "the end of the cancelled one")
        assert len(grown.nursery.workers) == left + 1
