"""Kill keeper, manager and collector at random, alone and together, under load; upgrade now and then.

    python scripts/soak/soak.py --seconds 600 [--seed N]

At the end: no request failed, no line is missing or doubled, apps have the pids they began with, there is one of
each of ours. Exit code 0 or 1. Loopback only; ends everything it started.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOK = os.environ.get("ROOK") or os.path.join(os.path.dirname(sys.executable), "rook")
RATE = 1000
OURS = ("keeper", "manager", "collector")


def rook(*words, check=True):
    done = subprocess.run([ROOK, *words], capture_output=True, text=True, check=False, timeout=60)
    if check and done.returncode:
        raise SystemExit(f"rook {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Load(threading.Thread):
    """About RATE requests a second over a few kept-alive connections and some fresh ones."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.requests, self.failures, self.stop = port, 0, [], threading.Event()

    def ask(self, connection):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.recv(4096)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise OSError(f"bad answer {answer!r}")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=2)

    def run(self):
        kept = [self.connect() for _ in range(4)]
        began = time.monotonic()
        while not self.stop.is_set():
            self.requests += 1
            try:
                if self.requests % 20 == 0:
                    with self.connect() as fresh:
                        self.ask(fresh)
                else:
                    self.ask(kept[self.requests % len(kept)])
            except OSError as error:
                self.failures.append(repr(error))
            time.sleep(max(0.0, began + self.requests / RATE - time.monotonic()))
        for connection in kept:
            connection.close()


class Soak:
    def __init__(self, folder, seconds, seed):
        self.folder, self.seconds = folder, seconds
        self.random = random.Random(seed)
        self.home = os.path.join(folder, "home")
        os.environ["ROOKERY_HOME"] = self.home
        self.back = {}
        self.rounds = self.upgrades = self.mortals = 0
        self.problems = []

    def ping(self):
        return json.loads(rook("ping", "--json"))

    def rows(self):
        return {row["name"]: row for row in json.loads(rook("list", "--json"))}

    def start(self):
        port = free_port()
        python = os.path.realpath(sys.executable)
        web, log = os.path.join(HERE, "web_app.py"), os.path.join(HERE, "log_app.py")
        rook("start", web, "--name", "web", "--set-env", f"PORT={port}", "--interpreter", python)
        rook("start", log, "--name", "log", "--logs-keep", "1000", "--logs-max-size", "200K", "--interpreter", python)
        rook("start", "--name", "mortal", "--backoff-base", "10ms", "--backoff-cap", "50ms", "--", "/bin/sleep", "3600")
        self.pids = {name: row["pid"] for name, row in self.rows().items() if name != "mortal"}
        self.load = Load(port)
        self.load.start()

    def kill(self, names):
        ping = self.ping()
        pids = {"keeper": ping["keeper_pid"], "manager": ping["pid"], "collector": ping["collector_pid"]}
        mortal = self.rows()["mortal"]["pid"] if self.random.random() < 0.3 else None
        killed = time.monotonic()
        for name in names:
            if pids[name]:
                with contextlib.suppress(ProcessLookupError):  # on its way out since its keeper was killed
                    os.kill(pids[name], signal.SIGKILL)
        if mortal:
            self.mortals += 1
            os.kill(mortal, signal.SIGKILL)
        rook("list")  # with keeper and manager gone it is this command that brings the next ones
        if "manager" in names or "keeper" in names:
            while self.ping()["pid"] == pids["manager"]:
                time.sleep(0.005)
            self.back.setdefault("+".join(names), []).append(time.monotonic() - killed)
        if mortal:
            self.expect_mortal(mortal, all_gone="keeper" in names and "manager" in names)

    def expect_mortal(self, old, *, all_gone):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            row = self.rows()["mortal"]
            if row["pid"] not in (None, old):
                if row["exit"]["signal"] != "SIGKILL" and not all_gone:
                    self.problems.append(f"how mortal ended is not known: {row['exit']}")
                return
            time.sleep(0.02)
        self.problems.append(f"mortal did not come back: {row}")

    def round(self):
        self.rounds += 1
        time.sleep(self.random.uniform(0.0, 0.6))
        if self.random.random() < 0.1:
            self.upgrades += 1
            rook("upgrade")
        else:
            self.kill(self.random.sample(OURS, self.random.choice((1, 1, 2, 3))))
        pids = {name: row["pid"] for name, row in self.rows().items() if name != "mortal"}
        if pids != self.pids:
            self.problems.append(f"round {self.rounds}: pids {self.pids} -> {pids}")
            self.pids = pids

    def check_lines(self):
        for stream, word, every in (("out", "line", 1), ("err", "error", 1)):
            path = os.path.join(self.home, "logs", f"log-0.{stream}.log")
            number = 1
            while os.path.exists(f"{path}.{number}"):
                number += 1
            names = [f"{path}.{one}" for one in range(number - 1, 0, -1)] + [path]
            lines = [line for name in names for line in open(name, "rb").read().split(b"\n") if line]
            seen = [line for line in lines if not line.startswith(b"[rookery]")]
            wanted = [f"{word} {one}".encode() for one in range(every, len(seen) + 1)]
            if seen != wanted:
                at = next(i for i, pair in enumerate(zip(seen, wanted, strict=False)) if pair[0] != pair[1])
                self.problems.append(f"{stream}: {len(seen)} lines, first wrong at {at}: {seen[at - 1 : at + 2]}")
            else:
                print(f"{stream}: {len(seen)} lines, each once and in order")

    def check_ours(self):
        for name in OURS:
            found = subprocess.run(
                ["pgrep", "-f", f"rookery-{name}.*{self.home}"], capture_output=True, text=True, check=False
            )
            pids = found.stdout.split()
            if len(pids) != 1:
                self.problems.append(f"there are {len(pids)} of {name}: {pids}")

    def run(self):
        self.start()
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            self.round()
        self.load.stop.set()
        self.load.join()
        time.sleep(0.5)
        self.check_ours()
        rook("stop", "log")
        self.check_lines()
        if self.load.failures:
            self.problems.append(f"{len(self.load.failures)} requests failed: {self.load.failures[:3]}")
        print(
            f"{self.rounds} rounds, {self.upgrades} upgrades, {self.mortals} app deaths; "
            f"{self.load.requests} requests, {len(self.load.failures)} failed"
        )
        for names, times in sorted(self.back.items()):
            print(
                f"manager back after killing {names}: median {statistics.median(times) * 1000:.0f} ms, "
                f"longest {max(times) * 1000:.0f} ms, {len(times)} times"
            )
        for problem in self.problems:
            print("PROBLEM:", problem)
        return not self.problems


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = options.parse_args()
    print(f"seed {given.seed}")
    folder = tempfile.mkdtemp(prefix="rookery-soak-")
    soak = Soak(folder, given.seconds, given.seed)
    good = False
    try:
        good = soak.run()
    finally:
        rook("kill", check=False)
        if good:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"kept for a look: {folder}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
