"""The manager's view of the collector, through the deaths of collectors."""

from __future__ import annotations

import asyncio
import json
import os
import socket

import pytest

from rookery import errors
from rookery._base.framing import FrameBuffer, frame
from rookery.config.spec import AppSpec, LogSpec
from rookery.daemon.manager import collector_client
from rookery.daemon.manager.collector_client import CollectorClient, Pipes
from rookery.daemon.manager.direct import open_direct
from rookery.daemon.manager.log_settings import stream_settings


class PaperCollector:
    """One collector: what it was told, and whether it is there. die_at: the verb at which it dies unanswered."""

    def __init__(self, number, units=(), die_at=None, refuse=()):
        self.pid, self.units, self.die_at, self.refuse = number, list(units), die_at, refuse
        self.told, self.socks, self.fds, self.files = [], [], [], []
        self.is_slow, self.held = False, []

    def connect(self):
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.socks.append(theirs)
        asyncio.get_running_loop().add_reader(theirs, self._readable, theirs, FrameBuffer())
        return ours

    def _readable(self, sock, buffer):
        data, fds, _, _ = socket.recv_fds(sock, 65536, 100)
        self.fds += fds
        if not data:
            self._drop(sock)
        for payload in buffer.feed(data):
            request = json.loads(payload)
            if request["verb"] == self.die_at:
                self.die()
                return
            self._answer(sock, request)

    def _answer(self, sock, request):
        answer = {"ok": True}
        unit = [request.get("unit"), request.get("generation")]
        self.told.append((request["verb"], *unit))
        if request["verb"] == "hello":
            answer |= {"pid": self.pid, "units": self.units}
        elif request["verb"] == "close":
            answer["offsets"] = {"err": [f"/logs/{unit[0]}", 7]}
        elif request["verb"] == "stats":
            answer["files"] = self.files
        elif request["verb"] == "empty":
            self.emptied = request["paths"]
            answer["emptied"] = 3
        elif request["verb"] == "open" and unit[0] in self.refuse:
            answer = {"ok": False, "error": "ValueError: no"}
        data = frame(json.dumps({"id": request["id"], **answer}).encode())
        if self.is_slow and request["verb"] == "open":
            self.held.append((sock, data))
        else:
            sock.sendall(data)

    def say(self, **event):
        """Something unasked."""
        for sock in self.socks:
            sock.sendall(frame(json.dumps(event).encode()))

    def hurry(self):
        """Answer what was held back, and from now on at once."""
        self.is_slow = False
        for sock, data in self.held:
            sock.sendall(data)
        self.held.clear()

    def _drop(self, sock):
        asyncio.get_running_loop().remove_reader(sock)
        self.socks.remove(sock)
        sock.close()

    def die(self):
        for sock in list(self.socks):
            self._drop(sock)
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()

    def verbs(self, name):
        return [(unit, generation) for verb, unit, generation in self.told if verb == name]


class Row:
    """Collectors, one after the other; connect() meets the present one, or nobody."""

    def __init__(self):
        self.present = None
        self.all = []
        self.connects = 0

    def next(self, **options):
        self.present = PaperCollector(len(self.all) + 1, **options)
        self.all.append(self.present)
        return self.present

    def connect(self):
        self.connects += 1
        if self.present is None:
            raise ConnectionRefusedError
        return self.present.connect()

    def die(self):
        gone, self.present = self.present, None
        gone.die()


@pytest.fixture
def row():
    return Row()


@pytest.fixture
async def client(row, monkeypatch):
    monkeypatch.setattr(collector_client, "_PAUSE", 0.001)
    heard = []
    client = CollectorClient(row.connect, heard.append)
    client.heard = heard
    yield client
    await client.close()
    for one in row.all:
        one.die()


def pipes(unit="4", generation=1, **logs):
    out, err = os.pipe()
    app = AppSpec(name=f"app{unit}", command=("x",), cwd="/", logs=LogSpec(**logs))
    return Pipes(unit, generation, out, err, stream_settings(app, 0, (f"/logs/{unit}.out", f"/logs/{unit}.err")))


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.001)


async def test_the_first_connect_tells_what_it_does_not_know_and_closes_what_we_do_not(row, client):
    one = row.next(units=[["4", 1], ["9", 3]])
    client.note(pipes("4"))
    client.note(pipes("5"))
    await client.start()
    assert client.pid == 1
    assert one.verbs("open") == [("5", 1)]
    await until(lambda: one.verbs("close") == [("9", 3)])


async def test_a_collector_that_does_not_come_up(row, client, monkeypatch):
    monkeypatch.setattr(collector_client, "_COMES_UP_WITHIN", 0.02)
    with pytest.raises(errors.LinkError, match="does not come up"):
        await client.start()


async def test_the_next_collector_is_told_of_all_pipes(row, client):
    row.next()
    await client.start()
    for unit in "45":
        await client.open(pipes(unit))
    row.die()
    await asyncio.sleep(0)
    second = row.next()
    await until(lambda: client.pid == 2)
    assert second.verbs("open") == [("4", 1), ("5", 1)]
    assert len(second.socks) == 1


@pytest.mark.parametrize("die_at", ["hello", "open"])
async def test_collectors_that_die_while_they_are_told_leave_one_connection_and_no_double_open(row, client, die_at):
    row.next()
    await client.start()
    await client.open(pipes("4"))
    row.die()
    for _ in range(3):
        dying = row.next(die_at=die_at)
        await until(lambda dying=dying: client._task and not client._up.is_set() and not dying.socks)
        row.present = None
    last = row.next()
    await until(lambda: client.pid == last.pid)
    before = row.connects
    await asyncio.sleep(0.02)
    assert row.connects == before  # nobody else is still trying
    assert len(last.socks) == 1
    assert last.verbs("open") == [("4", 1)]


async def test_pipes_that_are_opened_while_there_is_no_collector(row, client):
    row.next()
    await client.start()
    row.die()
    await client.open(pipes("4"))  # does not wait: the output does
    second = row.next()
    await until(lambda: second.verbs("open") == [("4", 1)])


async def test_pipes_that_are_opened_while_a_collector_is_being_told(row, client):
    row.next()
    await client.start()
    await client.open(pipes("4"))
    row.die()
    second = row.next()
    second.is_slow = True
    await until(lambda: second.held)  # it has been told of one, and the client waits for its answer
    await client.open(pipes("5"))
    second.hurry()
    await until(lambda: client.pid == 2)
    assert sorted(second.verbs("open")) == [("4", 1), ("5", 1)]


async def test_closing_flushes_and_forgets(row, client):
    one = row.next()
    await client.start()
    await client.open(pipes("4"))
    assert await client.close_pipes("4", 1) == {"err": ["/logs/4", 7]}
    assert await client.close_pipes("4", 1) == {}
    assert one.verbs("close") == [("4", 1)]


async def test_a_collector_that_dies_over_a_close_leaves_it_to_the_next(row, client):
    first = row.next()
    await client.start()
    await client.open(pipes("4"))
    first.die_at = "close"
    closing = asyncio.ensure_future(client.close_pipes("4", 1))
    await until(lambda: not first.socks)
    second = row.next()
    assert await closing == {"err": ["/logs/4", 7]}
    assert second.told == [("hello", None, None), ("open", "4", 1), ("stats", None, None), ("close", "4", 1)]


async def test_without_any_collector_a_close_gives_up(row, client, monkeypatch):
    monkeypatch.setattr(collector_client, "_FLUSH_DEADLINE", 0.02)
    row.next()
    await client.start()
    await client.open(pipes("4"))
    row.die()
    assert await client.close_pipes("4", 1) == {}
    second = row.next()
    await until(lambda: client.pid == 2)
    assert second.verbs("open") == []


async def test_what_a_collector_refuses(row, client):
    row.next(refuse=["4"])
    await client.start()
    with pytest.raises(errors.LinkError, match="no"):
        await client.open(pipes("4"))
    row.die()
    second = row.next(refuse=["4"])
    await client.open(pipes("5"))
    await until(lambda: client.pid == 2)  # one bad unit keeps nobody else's output back
    assert ("5", 1) in second.verbs("open")


async def test_leaving_while_there_is_no_collector(row, client):
    row.next()
    await client.start()
    await client.open(pipes("4"))
    row.die()
    await asyncio.sleep(0)
    await client.close()
    assert client._task.done()


# -- what it says unasked ----------------------------------------------------------------------------------------------

FULL = "No space left on device"


async def test_a_full_disk_is_known_until_the_gap_is_marked(row, client, caplog):
    one = row.next()
    await client.start()
    await client.open(pipes("4"))
    await client.open(pipes("5"))
    assert client.problem == ""
    one.say(event="log_full", path="/logs/4.out", why=FULL)
    await until(lambda: client.heard)
    assert client.problem == f"the log of app4:0 is not written: {FULL}; lines are dropped"
    assert f"the log of app4:0 is not written: {FULL}; lines are dropped (/logs/4.out)" in caplog.text
    one.say(event="log_full", path="/logs/5.err", why=FULL, blocks=True)
    await until(lambda: len(client.heard) == 2)
    assert client.problem.endswith(f"; the log of app5:0 is not written: {FULL}; it waits")
    one.say(event="log_dropped", path="/logs/4.out", lines=7, bytes=70, why=FULL)
    one.say(event="log_dropped", path="/logs/5.err", lines=0, bytes=0, why=FULL)
    await until(lambda: len(client.heard) == 4)
    assert client.problem == ""
    assert f"7 lines (70 bytes) were dropped ({FULL}): /logs/4.out" in caplog.text
    assert "nothing was lost: /logs/5.err" in caplog.text


async def test_several_apps_on_a_full_disk_are_one_sentence(row, client):
    one = row.next()
    await client.start()
    for unit in "45678":
        await client.open(pipes(unit))
        for stream in ("out", "err"):
            one.say(event="log_full", path=f"/logs/{unit}.{stream}", why=FULL)
    await until(lambda: len(client.heard) == 10)
    assert client.problem == f"the log of app4:0, app5:0, app6:0 and 2 more is not written: {FULL}; lines are dropped"


async def test_a_combined_file_is_its_writers_too(row, client):
    one = row.next()
    await client.start()
    await client.open(pipes("4", combined=True))
    one.say(event="log_full", path="/logs/app4.combined.log", why=FULL)
    await until(lambda: client.problem == f"the log of app4:0 is not written: {FULL}; lines are dropped")


async def test_what_the_collector_met_before_we_came_is_asked_for(row, client):
    one = row.next(units=[["4", 1]])
    one.files = [{"path": "/logs/4.out", "problem": FULL}, {"path": "/logs/4.err", "problem": ""}]
    client.note(pipes("4"))
    await client.start()
    assert client.problem == f"the log of app4:0 is not written: {FULL}; lines are dropped"
    row.die()
    row.next()
    await until(lambda: client.pid == 2)
    assert client.problem == ""  # the next one says it again where it is so


async def test_a_log_that_has_lost_its_place_loses_no_lines(row, client):
    one = row.next()
    await client.start()
    await client.open(pipes("4"))
    one.say(event="log_full", path="/logs/4.out", why="Is a directory", blocks=False, astray=True)
    await until(lambda: client.heard)
    told = "the log of app4:0 is not written: Is a directory; lines go into the file that was there before"
    assert client.problem == told


async def test_a_full_log_that_nobody_writes_to_any_more_is_no_news(row, client):
    one = row.next()
    await client.start()
    await client.open(pipes("4"))
    one.say(event="log_full", path="/logs/4.out", why=FULL)
    await until(lambda: client.problem)
    await client.close_pipes("4", 1)
    assert client.problem == ""


async def test_emptying(row, client, tmp_path):
    one = row.next()
    await client.start()
    direct = tmp_path / "web.log"
    (tmp_path / "web.log.1").write_text("older")
    fd = open_direct(str(direct), None, None)
    os.write(fd, b"before\n")
    client.direct["7"] = frozenset([str(direct)])
    assert await client.empty(["/logs/4.out", str(direct), "/logs/4.out"]) == 3 + 2
    os.write(fd, b"after\n")
    os.close(fd)
    assert one.emptied == ["/logs/4.out"]
    assert direct.read_text() == "after\n"
    assert os.listdir(tmp_path) == ["web.log"]
    assert await client.empty([str(direct)]) == 1
    assert one.verbs("empty") == [(None, None)]


async def test_emptying_without_a_collector(row, client, monkeypatch):
    monkeypatch.setattr(collector_client, "_EMPTY_DEADLINE", 0.02)
    row.next()
    await client.start()
    row.die()
    with pytest.raises(errors.OperationFailed, match="not emptied"):
        await client.empty(["/logs/4.out"])
