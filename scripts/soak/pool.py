"""A pool under everything at once: kills, cancels, time limits, other sizes, shutdowns, both ways to call, large data.

    python scripts/soak/pool.py --seconds 600 [--seed N]

At the end: every task was settled exactly once with the right result or an error that fits, no process, descriptor,
thread or shared memory is left, and this process has not grown. Exit code 0 or 1. Ends everything it started.
"""

import argparse
import asyncio
import collections
import ctypes
import gc
import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import CancelledError, wait

from rookery import ProcessPool
from rookery._os import kernel
from rookery.errors import PoolClosed, PoolFull, TaskTimeout, WorkerDied, WorkerStartFailed

TASKS_AHEAD = 200
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
FAULTS = (WorkerDied, WorkerStartFailed, PoolClosed, CancelledError)  # by what the soak itself does
MOST_GROWTH = 20 << 20  # bytes in an hour's worth of rounds would be far more where something leaks


class Trouble(Exception):
    """What a task raises that is to fail."""


def square(number):
    return number * number


def nap(seconds, number):
    time.sleep(seconds)
    return number


def fail(number):
    raise Trouble(number)


def die(number):
    os.kill(os.getpid(), (signal.SIGKILL, signal.SIGSEGV)[number % 2])


def leave(number):
    os._exit(number % 200)


def echo(data):
    return data


def fork(number):
    if os.fork() == 0:
        os.closerange(0, 256)
        time.sleep(0.2)
        os._exit(0)
    return number


class Account:
    """What came of every task. Thread-safe enough: one append per task."""

    def __init__(self):
        self.given = 0
        self.ended = collections.Counter()
        self.problems = []
        self.lock = threading.Lock()

    def expect(self, future, name, check, *, may_die):
        """Look at a future when it is done; may_die: kills may meet it."""
        seen = []
        with self.lock:
            self.given += 1

        def done(_):
            with self.lock:
                if seen:
                    self.problems.append(f"{name} was settled twice")
                seen.append(1)
                self.ended[self.judge(future, name, check, may_die=may_die)] += 1

        future.add_done_callback(done)

    def judge(self, future, name, check, *, may_die):
        try:
            value = future.result()
        except (CancelledError, asyncio.CancelledError):
            return "cancelled"
        except (PoolClosed, TaskTimeout, WorkerDied, WorkerStartFailed, Trouble) as error:
            kind = type(error).__name__
            if isinstance(error, Trouble) and name != "fail":
                self.problems.append(f"{name} raised {error!r}")
            if isinstance(error, WorkerDied) and not may_die:
                self.problems.append(f"{name}: {error!r}")
            return kind
        except BaseException as error:
            self.problems.append(f"{name}: {error!r}")
            return "wrong"
        if not check(value):
            self.problems.append(f"{name} gave {str(value)[:80]}")
        return "right"


class Soak:
    def __init__(self, seconds, seed):
        self.random = random.Random(seed)
        self.end = time.monotonic() + seconds
        self.account = Account()
        self.kills = self.pools = 0
        self.memory = []

    # -- tasks ----------------------------------------------------------------------------------------------------

    def pick(self):
        """(name, function, arguments, what the result is to be) of a task."""
        number = self.random.randrange(1000)
        name = self.random.choices(
            ("square", "nap", "long", "fail", "die", "leave", "echo", "large", "fork"), (60, 10, 1, 4, 1, 1, 6, 2, 1)
        )[0]
        if name == "square":
            return name, square, (number,), lambda value: value == number * number
        if name in ("nap", "long"):
            seconds = self.random.uniform(0, 0.02) if name == "nap" else 30.0
            return name, nap, (seconds, number), lambda value: value == number
        if name in ("echo", "large"):
            size = self.random.randrange(200_000) if name == "echo" else self.random.randrange(1 << 20, 1 << 24)
            data = bytes([number % 256]) * size
            return name, echo, (data,), lambda value: bytes(value) == data
        if name == "fork":
            return name, fork, (number,), lambda value: value == number
        return name, {"fail": fail, "die": die, "leave": leave}[name], (number,), lambda _: False

    def options(self, name):
        if name == "long":
            return {"timeout": self.random.uniform(0.01, 0.3)}
        return self.random.choice(
            ({}, {}, {"priority": self.random.randrange(-2, 3)}, {"retries": 2}, {"deadline": 20.0})
        )

    # -- callers --------------------------------------------------------------------------------------------------

    def submits(self, pool, stop):
        futures = collections.deque()
        while not stop.is_set():
            name, function, args, check = self.pick()
            try:
                future = pool.options(**self.options(name)).submit(function, *args)
            except PoolClosed:
                return
            except PoolFull:
                time.sleep(0.002)
                continue
            self.account.expect(future, name, check, may_die=True)
            futures.append(future)
            if self.random.random() < 0.03:
                future.cancel(running=self.random.random() < 0.5)
            if len(futures) > TASKS_AHEAD:
                wait([futures.popleft()], 60)
        del futures

    def awaits(self, pool, stop):
        asyncio.run(self.awaiting(pool, stop))

    async def awaiting(self, pool, stop):
        async def one():
            name, function, args, check = self.pick()
            future = pool.options(**self.options(name)).run(function, *args)
            self.account.expect(future, name, check, may_die=True)
            if self.random.random() < 0.03:
                future.cancel()
            await asyncio.wait([future], timeout=60)

        while not stop.is_set():
            for found in await asyncio.gather(*(one() for _ in range(20)), return_exceptions=True):
                if isinstance(found, PoolClosed):
                    return
                if found is not None and not isinstance(found, PoolFull):
                    raise found

    def maps(self, pool, stop):
        while not stop.is_set():
            count = self.random.randrange(1, 300)
            try:
                results = list(
                    pool.map(square, range(count), chunksize=self.random.choice((1, 7, "auto")), return_exceptions=True)
                )
            except (PoolClosed, PoolFull, CancelledError):
                continue
            for number, value in enumerate(results):
                if value != number * number and not isinstance(value, FAULTS):
                    self.account.problems.append(f"map gave {value!r} for {number}")

    # -- troubles -------------------------------------------------------------------------------------------------

    def kill(self, pool):
        rows = [row for row in pool.status().rows if row.pid and row.tasks]
        if rows:
            pid = self.random.choice(rows).pid
            start = kernel.start_time(pid)
            number = self.random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP))
            if start is not None and kernel.signal_process(pid, start, number):
                self.kills += 1
                if number == signal.SIGSTOP:
                    time.sleep(0.01)
                    kernel.signal_process(pid, start, self.random.choice((signal.SIGCONT, signal.SIGKILL)))

    def kill_the_server(self):
        for pid in kernel.children(os.getpid()):
            if "pool" in " ".join(kernel.command_line(pid)):
                start = kernel.start_time(pid)
                if start is not None:
                    kernel.signal_process(pid, start, signal.SIGKILL)
                    self.kills += 1

    def one_pool(self):
        self.pools += 1
        most = self.random.randrange(1, 6)
        queue = self.random.choice((None, None, 50))
        pool = ProcessPool(
            most,
            min_workers=self.random.randrange(0, most + 1),
            idle_timeout=self.random.choice((0.05, 1.0, None)),
            max_tasks_per_worker=self.random.choice((7, 1000, None)),
            max_queue=queue,
            when_full=self.random.choice(("wait", "raise")),
        )
        stop = threading.Event()
        work = [self.submits, self.submits, self.awaits, self.awaits, self.maps]
        threads = [
            threading.Thread(target=self.random.choice(work), args=(pool, stop))
            for _ in range(self.random.randrange(1, 5))
        ]
        for thread in threads:
            thread.start()
        until = min(self.end, time.monotonic() + self.random.uniform(0.5, 8.0))
        while time.monotonic() < until:
            time.sleep(self.random.uniform(0.0, 0.1))
            what = self.random.random()
            if what < 0.6:
                self.kill(pool)
            elif what < 0.75:
                least = self.random.randrange(0, 3)
                pool.resize(least, max(1, least + self.random.randrange(0, 4)))
            elif what < 0.8:
                pool.grow(2)
            elif what < 0.82:
                self.kill_the_server()
            else:
                pool.status()
        end = self.random.randrange(4)
        if end == 0:
            pool.terminate()
        elif end == 1:
            pool.shutdown(wait=False, cancel_futures=True)
        stop.set()
        if end == 2:
            pool.shutdown(timeout=self.random.uniform(0.0, 1.0))
        for thread in threads:
            thread.join(90)
            if thread.is_alive():
                self.account.problems.append(f"pool {self.pools}: a caller hangs; {pool.status()}")
                return
        pool.shutdown()
        status = pool.status()
        if status.tasks.queued or status.tasks.running or status.workers.total:
            self.account.problems.append(f"pool {self.pools} has left: {status}")

    # -- the end --------------------------------------------------------------------------------------------------

    def sample(self):
        for _ in range(3):  # what a finalizer lets go of is for the next turn
            gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/statm") as file:
            self.memory.append(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))

    def growth(self):
        """Bytes over the second half, by the line that fits best."""
        values = self.memory[len(self.memory) // 2 :]
        count = len(values)
        if count < 4:
            return 0.0
        middle, mean = (count - 1) / 2, sum(values) / count
        slope = sum((i - middle) * (value - mean) for i, value in enumerate(values))
        return slope / sum((i - middle) ** 2 for i in range(count)) * count

    def run(self):
        before = left()
        shared = set(os.listdir("/dev/shm"))
        while time.monotonic() < self.end and not self.account.problems:
            self.one_pool()
            self.sample()
        until = time.monotonic() + 5
        while (after := left()) != before and time.monotonic() < until:
            time.sleep(0.05)
        account = self.account
        if sum(account.ended.values()) != account.given:
            account.problems.append(f"{account.given} tasks were given, {sum(account.ended.values())} have ended")
        if after != before:
            account.problems.append(f"left behind: {after} instead of {before}")
        if new := set(os.listdir("/dev/shm")) - shared:
            account.problems.append(f"left in /dev/shm: {new}")
        if self.growth() > MOST_GROWTH:
            account.problems.append(f"grew by {self.growth() / 1e6:.1f} MB in the second half")
        print(f"{self.pools} pools, {account.given} tasks, {self.kills} kills; {dict(account.ended)}")
        print(
            f"memory {self.memory[0] / 1e6:.0f} MB at first, {self.memory[-1] / 1e6:.0f} MB at last, "
            f"{self.growth() / 1e6:+.1f} MB in the second half"
        )
        for problem in account.problems[:20]:
            print("PROBLEM:", problem)
        return not account.problems


def left():
    """What this process has: threads, descriptors by kind, children but the guardian."""
    kinds = collections.Counter()
    for name in os.listdir("/proc/self/fd"):
        try:
            kinds[os.readlink(f"/proc/self/fd/{name}").split(":")[0]] += 1
        except OSError:
            continue
    children = {pid: " ".join(kernel.command_line(pid)).strip() or "" for pid in kernel.children(os.getpid())}
    children = {pid: what if "rookery: " not in what else str(kernel.facts(pid)) for pid, what in children.items()}
    children = {pid: what for pid, what in children.items() if "guardian" not in str(what)}
    return threading.active_count(), dict(kinds), children


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = options.parse_args()
    print(f"seed {given.seed}", flush=True)
    # Freed memory goes back to the system, so that what is still there is held by somebody.
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 16)
    ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
    with ProcessPool(1) as pool:  # what is there for good from the first pool on
        pool.submit(square, 1).result()
    sys.exit(0 if Soak(given.seconds, given.seed).run() else 1)


if __name__ == "__main__":
    main()
