import asyncio
import socket
import subprocess
import sys
import threading

import pytest

from rookery.errors import ChannelTimeout, Disconnected, FrameError, RemoteError, UsageError
from rookery.ipc.channel import Channel
from rookery.ipc.stdio import SyncStdioChannel
from rookery.ipc.sync_channel import SyncChannel


@pytest.fixture(params=[SyncChannel, SyncStdioChannel])
def ends(request):
    ours, theirs = request.param.pair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def served():
    """A channel here, and a blocking one with handlers in a thread."""
    here, there = socket.socketpair()
    theirs = SyncChannel(there)
    thread = threading.Thread(target=theirs.serve)
    with SyncChannel(here) as ours:
        yield ours, theirs, thread
    thread.join()
    theirs.close()


def test_messages_both_ways(ends):
    ours, theirs = ends
    for value in [None, 0, "", {"type": "x"}, "y" * 30_000]:
        ours.send(value)
        theirs.send([value])
        assert theirs.receive() == value
        assert ours.receive() == [value]


def test_a_time_limit_does_not_end_the_channel(ends):
    ours, theirs = ends
    with pytest.raises(ChannelTimeout, match=r"no message came within 0\.02 s"):
        theirs.receive(timeout=0.02)
    ours.send(1)
    assert theirs.receive(timeout=5) == 1


def test_the_end_is_an_error_not_a_hang(ends):
    ours, theirs = ends
    ours.send(1)
    ours.send(2)
    ours.close()
    assert list(theirs) == [1, 2]
    assert not theirs.connected
    for use in (theirs.receive, lambda: theirs.request(1), lambda: theirs.send(1), ours.receive, lambda: ours.send(1)):
        with pytest.raises(Disconnected):
            use()


def test_malformed_and_oversized(ends):
    here, there = socket.socketpair()
    with here, SyncChannel(there, max_message=50) as channel:
        with pytest.raises(UsageError, match="limit of 50"):
            channel.send("x" * 60)
        here.sendall(b"\0\0\1\0")
        with pytest.raises(FrameError, match="announces 256"):
            channel.receive()


def test_requests_progress_and_errors(served):
    ours, theirs, thread = served
    seen = []

    def works(message, call):
        for part in range(3):
            call.progress(part)
        return message["n"]

    theirs.on("work", works, with_call=True)
    theirs.on("fail", lambda _: 1 / 0)
    theirs.on("strange", lambda _: [lambda: None])
    theirs.on("back", lambda message: theirs.request({"type": "add", "n": message["n"]}))
    ours.on("add", lambda message: message["n"] + 1)
    thread.start()
    assert ours.request({"type": "work", "n": 5}, on_progress=seen.append) == 5
    assert seen == [0, 1, 2]
    with pytest.raises(RemoteError, match="ZeroDivisionError") as caught:
        ours.request({"type": "fail"})
    assert "Traceback" in caught.value.traceback
    with pytest.raises(RemoteError, match="cannot be encoded"):
        ours.request({"type": "strange"})
    with pytest.raises(RemoteError, match="nobody handles"):
        ours.request({"type": "other"})
    assert ours.request({"type": "back", "n": 1}) == 2
    assert ours.ping() >= 0


def test_a_handler_sees_that_it_is_cancelled_and_its_late_answer_is_dropped(served):
    ours, theirs, thread = served
    done = threading.Event()

    def hangs(_message, call):
        while not call.is_cancelled:
            pass
        done.set()
        return "late"

    theirs.on("hang", hangs, with_call=True)
    theirs.on("next", lambda _: "right")
    thread.start()
    with pytest.raises(ChannelTimeout):
        ours.request({"type": "hang"}, timeout=0.05)
    assert done.wait(10)
    assert ours.request({"type": "next"}) == "right"


def test_what_was_cancelled_before_its_turn_is_not_run(served):
    ours, theirs, thread = served
    seen = []
    theirs.on("*", lambda message: seen.append(message["n"]))
    for number in range(3):
        with pytest.raises(ChannelTimeout):
            ours.request({"type": "x", "n": number}, timeout=0)
    assert ours.connected
    thread.start()
    ours.ping()
    assert seen == []


def test_what_comes_while_it_waits_for_an_answer_is_kept_within_bounds():
    ours, theirs = SyncChannel.pair()
    with ours, theirs:
        theirs.on("*", lambda _: [theirs.send(number) for number in range(1000)] and "done")
        thread = threading.Thread(target=theirs.serve)
        thread.start()
        assert ours.request(1) == "done"
        assert [ours.receive() for _ in range(1000)] == list(range(1000))
        theirs.on("*", lambda _: [theirs.send("x" * 1_000_000) for _ in range(200)])
        with pytest.raises(Disconnected, match="too many messages"):
            ours.request(1)
        thread.join()


async def test_a_blocking_worker_of_an_asyncio_channel():
    here, there = socket.socketpair()
    theirs = SyncChannel(there)
    theirs.on("add", lambda message: message["a"] + message["b"])
    thread = threading.Thread(target=theirs.serve)
    thread.start()
    async with Channel(here) as ours:
        sums = await asyncio.gather(*(ours.request({"type": "add", "a": n, "b": n}) for n in range(300)))
        assert sums == [2 * n for n in range(300)]
        assert await ours.ping() >= 0
    await asyncio.to_thread(thread.join)
    theirs.close()
    await asyncio.get_running_loop().shutdown_default_executor()


def test_a_failing_handler_of_a_message_is_seen_by_who_serves(ends):
    ours, theirs = ends
    theirs.on("*", lambda _: 1 / 0)
    ours.send(1)
    with pytest.raises(ZeroDivisionError):
        theirs.serve()


def test_it_wants_no_event_loop():
    code = "import sys, rookery.ipc.sync_channel, rookery.ipc.stdio; sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
