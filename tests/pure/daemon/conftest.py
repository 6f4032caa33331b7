"""A keeper without its process: the same verbs and the same wire, over a socket pair."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket

import pytest

from rookery._base.framing import FrameBuffer, frame
from rookery._os import kernel
from rookery.daemon.keeper.children import Children
from rookery.daemon.keeper.core import Keeper
from rookery.daemon.keeper.home import Home
from rookery.daemon.keeper.loop import Loop
from rookery.daemon.keeper.programs import own_command
from rookery.daemon.keeper.store import DescriptorStore
from rookery.daemon.keeper.wire import Connection
from rookery.testing import wait_until


class PaperKeeper(Loop):
    """Everything but the signals and the manager."""

    def __init__(self, home):
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        store = DescriptorStore(lock=null, life=os.dup(null))
        self.children = Children(filler=-1, open_files=1024)
        self.store = store
        self.keeper = Keeper(Home(home, "0badcafe", home), own_command(), store, self.children, send=self._send)
        self.said = []
        self.keeper.complain = self.said.append
        self._connections = {}
        self._selector = selectors.DefaultSelector()

    @property
    def is_leaving(self):
        return self.keeper.leaving_by is not None

    @property
    def epoch(self):
        return self.keeper.epoch

    @property
    def scope(self):
        return self.keeper.scope

    @property
    def collector(self):
        return self.keeper.collector

    def ask_to_end(self):
        self.keeper._is_asked_to_end = True

    def accept(self):
        """A client, as if it had connected."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.settimeout(10)
        connection = self._connections[ours.fileno()] = Connection(ours)
        self._selector.register(ours, selectors.EVENT_READ, connection)
        return PaperClient(self, connection, theirs)

    def turn(self):
        """Serve whatever is there now."""
        while ready := self._selector.select(0):
            before = len(self._connections)
            for key, events in ready:
                if isinstance(key.data, Connection):
                    self._serve(key.data, events)
                else:
                    key.data()
            if all(events == selectors.EVENT_WRITE for _, events in ready) and len(self._connections) == before:
                break

    def reap(self, key, generation=1):
        """Wait until a child has ended."""
        child = self.children.get(key, generation)

        def ended():
            self.children.reap()
            return child.ended_at

        wait_until(ended, 20, f"the end of {key}")
        return child

    def close(self):
        for child in self.children.running():
            kernel.signal_process(child.pid, child.start_time, signal.SIGKILL)
            self.reap(child.key, child.generation)
        for connection in list(self._connections.values()):
            self._close(connection)
        for name in self.store.names():
            os.close(self.store[name])
        self._selector.close()


class PaperClient:
    """The other end of a connection to it."""

    def __init__(self, keeper, connection, sock):
        self.keeper, self.connection, self.sock = keeper, connection, sock
        self.buffer, self.fds, self.waiting = FrameBuffer(), [], []

    def send(self, raw, fds=()):
        if fds:
            socket.send_fds(self.sock, [raw], fds)
        else:
            self.sock.sendall(raw)
        self.keeper.turn()

    def receive(self):
        while not self.waiting:
            data, fds, _, _ = socket.recv_fds(self.sock, 65536, 100)
            if not data:
                return None
            self.fds += fds
            self.waiting += [json.loads(payload) for payload in self.buffer.feed(data)]
            self.keeper.turn()
        return self.waiting.pop(0)

    def ask(self, verb, fds=(), **fields):
        self.send(frame(json.dumps({"id": 7, "verb": verb, "fds": len(fds), **fields}).encode()), fds)
        return self.receive()

    def take_fds(self):
        fds, self.fds = self.fds, []
        return fds

    def close(self):
        self.sock.close()
        for fd in self.fds:
            os.close(fd)


@pytest.fixture
def keeper(tmp_path):
    keeper = PaperKeeper(str(tmp_path))
    yield keeper
    keeper.close()


@pytest.fixture
def connect(keeper):
    clients = []

    def make():
        clients.append(keeper.accept())
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect):
    """A client that has the lease."""
    client = connect()
    assert client.ask("lease", after=0)["epoch"] == 1
    return client


@pytest.fixture
def pipe():
    fds = list(os.pipe())
    yield fds
    for fd in fds:
        os.close(fd)
