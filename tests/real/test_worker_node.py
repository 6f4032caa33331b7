"""Node on either side, knowing nothing of us."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_node
from rookery import CAPTURE, DISCARD, PIPE, fork
from rookery.errors import Disconnected, NotReady, UsageError, WorkerLost

pytestmark = [pytest.mark.real, needs_node, pytest.mark.timeout(3 * DEADLINE)]

WORKERS = Path(__file__).parent / "programs" / "workers"


async def test_an_ordinary_node_worker():
    async with fork(
        WORKERS / "calc.js",
        args=["one", 2],
        interpreter_args=["--max-old-space-size=256"],
        data={"first": True},
        env={"ROOKERY_CHANNEL_FD": "9"},
        stdout=CAPTURE,
    ) as worker:
        assert await worker.receive() == {"echo": {"first": True}}
        await worker.send({"type": "calculate", "a": 10, "b": 20})
        assert [(await worker.receive()).get("percent") for _ in range(2)] == [50, 100]
        assert await worker.receive() == {"type": "result", "value": 30}
        await worker.send({"type": "facts"})
        facts = await worker.receive()
        assert facts["argv"] == ["one", "2"]
        assert facts["execArgv"] == ["--max-old-space-size=256"]
        assert facts["connected"] is True
        assert facts["env"] == []
        await worker.send({"text": "ü\n" + "x" * 3_000_000})
        assert len((await worker.receive())["echo"]["text"]) == 3_000_002
        await worker.disconnect()
        assert (await worker.wait()).code == 0
        assert (await worker.child.result()).stdout == "calc is up\ndisconnected\n"


async def test_a_node_worker_that_throws_or_disconnects():
    async with fork(WORKERS / "calc.js", stdout=DISCARD, stderr=DISCARD) as worker:
        await worker.send({"type": "throw"})
        with pytest.raises(WorkerLost, match="as asked") as caught:
            await worker.receive()
        assert caught.value.returncode == 1
    async with fork(WORKERS / "calc.js", stdout=DISCARD) as worker:
        await worker.send({"type": "disconnect"})
        with pytest.raises(Disconnected):
            await worker.receive()
        assert (await worker.wait()).code == 0


async def test_a_word_that_says_ready():
    async with fork(WORKERS / "ready.js", ready="ready") as worker:
        assert await worker.receive() == {"type": "early"}
        await worker.send(1)
        assert await worker.receive() == 1
    with pytest.raises(NotReady, match="not ready within") as caught:
        await fork(WORKERS / "ready.js", ready="go", ready_timeout=1)
    assert "'go'" in caught.value.hint


def test_what_node_cannot_do():
    with pytest.raises(UsageError, match="heartbeat"):
        fork(WORKERS / "calc.js", heartbeat=1)
    with pytest.raises(UsageError, match="codec"):
        fork(WORKERS / "calc.js", codec="pickle")
    with pytest.raises(UsageError, match="ready"):
        fork(WORKERS / "calc.js", ready=True)


async def test_a_node_worker_with_requests():
    """Twenty lines of JavaScript make it answer request()."""
    example = WORKERS.parents[3] / "examples" / "workers" / "answering.js"
    progress = []
    async with fork(example, stdout=PIPE) as worker:
        assert await worker.call("calculate", a=1, b=2) == 3
        assert await worker.request({"type": "slow"}, on_progress=progress.append) == "done"
        assert progress == [50, 100]


@pytest.mark.parametrize("child", ["of_node.py", "of_node_blocking.py"])
@pytest.mark.parametrize("how", ["disconnect", "kill"])
def test_a_python_child_of_an_unmodified_node_program(child, how):
    ran = subprocess.run(
        ["node", WORKERS / "parent.js", sys.executable, WORKERS / child, how],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    assert ran.stderr == ""
    lines = ran.stdout.splitlines()
    assert lines[:3] == ['{"result":30}', '{"result":"ü\\n"}', '{"length":1000000}']
    assert sorted(lines[3:]) == ["disconnect", "exit 0 null" if how == "disconnect" else "exit null SIGTERM"]
