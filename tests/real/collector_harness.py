"""The collector as a process of its own, with real FIFOs and real writers, and a tiny manager."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import rookery
from rookery._base.framing import FrameBuffer, frame

DEADLINE = 20.0
ROOT = str(Path(rookery.__file__).parents[1])
BOOT = "import sys; sys.path.insert(0, {root!r}); from rookery.logs.collector import main; main()"
WRITER = r"""
import os, sys
unit, lines, block = sys.argv[1].encode(), int(sys.argv[2]), int(sys.argv[3])
for first in range(0, lines, block):
    numbers = range(first, min(lines, first + block))
    data = memoryview(b"".join(b"%s %d %s\n" % (unit, n, b"." * (n % 90)) for n in numbers))
    while data:
        data = data[os.write(1, data):]
"""


def wait_until(condition, what):
    end = time.monotonic() + DEADLINE
    while not (seen := condition()):
        assert time.monotonic() < end, f"{what} did not come true in {DEADLINE} s; last seen: {seen!r}"
        time.sleep(0.005)
    return seen


class Collector:
    """The process, one client of it, and the FIFOs of its apps."""

    def __init__(self, folder):
        self.folder = folder
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / "c.sock"))
        self.listener.listen()
        self.fifos = {}
        self.writers = []
        self.process = self.client = None
        self.start()

    def start(self, **limits):
        def prepare():
            os.dup2(self.listener.fileno(), 3, inheritable=True)
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
            for limit, value in limits.items():
                resource.setrlimit(getattr(resource, limit), (value, value))

        with (self.folder / "manager.log").open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", BOOT.format(root=ROOT), "rookery-collector", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stderr=stderr,
                pass_fds=[3],
                preexec_fn=prepare,  # noqa: PLW1509 - a test with one thread
            )
        self.client = Client(self.folder / "c.sock")
        assert self.client.ask("hello")["pid"] == self.process.pid

    def fifo(self, unit):
        if unit not in self.fifos:
            os.mkfifo(self.folder / f"fifo-{unit}")
            self.fifos[unit] = os.open(self.folder / f"fifo-{unit}", os.O_RDWR)
        return self.fifos[unit]

    def open(self, unit, path=None, *, generation=1, max_size=0, keep=99, **settings):
        path = str(path or self.folder / f"{unit}.log")
        stream = {"path": path, "max_size": max_size, "keep": keep, **settings}
        request = {"unit": unit, "generation": generation, "order": ["out"], "streams": {"out": stream}}
        return self.client.ask("open", fds=[self.fifo(unit)], **request)

    def flush(self, unit, generation=1):
        return self.client.ask("flush", unit=unit, generation=generation)["offsets"]["out"]

    def write(self, unit, lines, block=50):
        command = [sys.executable, "-I", "-S", "-c", WRITER, unit, str(lines), str(block)]
        self.writers.append(subprocess.Popen(command, stdout=self.fifo(unit)))
        return self.writers[-1]

    def wait_for_output(self, writer):
        """Until this collector has taken something from each source, or the writer has ended."""
        wait_until(
            lambda: all(one["bytes"] for one in self.client.ask("stats")["sources"]) or writer.poll() is not None,
            "the first output",
        )

    def end(self, number=signal.SIGTERM):
        """Send a signal; the exit status."""
        self.client.close()
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def said(self):
        return (self.folder / "manager.log").read_text()

    def close(self):
        self.client.close()
        for process in (*self.writers, self.process):
            if process.poll() is None:
                process.kill()
                process.wait()
        for fd in self.fifos.values():
            os.close(fd)
        self.listener.close()


class Client:
    """A tiny manager."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(str(path))
        self.frames = FrameBuffer()
        self.last = 0
        self.received = []
        self.events = []

    def ask(self, verb, *, fds=(), **request):
        self.last += 1
        message = {"id": self.last, "verb": verb, "fds": len(fds), **request}
        self.send(frame(json.dumps(message).encode()), fds)
        while "id" not in (answer := self.receive()):
            self.events.append(answer)
        assert answer["id"] == self.last
        return answer

    def send(self, data, fds=()):
        if fds:
            sent = socket.send_fds(self.socket, [data], fds)
            data = data[sent:]
        if data:  # the collector may have hung up by now; sending nothing would fail
            self.socket.sendall(data)

    def receive(self):
        while not self.received:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError
            self.received += [json.loads(payload) for payload in self.frames.feed(data)]
        return self.received.pop(0)

    def close(self):
        self.socket.close()


def chain(path):
    """The contents of a log's files, oldest first."""
    files = []
    while os.path.exists(name := f"{path}.{len(files)}" if files else str(path)):
        files.insert(0, Path(name).read_bytes())
    return files


def expected(unit, lines):
    return b"".join(b"%s %d %s\n" % (unit.encode(), n, b"." * (n % 90)) for n in range(lines))


def fds_of(process):
    return os.listdir(f"/proc/{process.pid}/fd")
