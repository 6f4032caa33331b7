"""How fast children are started, read and gone through by lines: C, rookery, Python's own ways, anyio and Node.

    python benchmarks/process.py [--rounds 15] [--markdown]

Every contender is one process for each kind of work (what one leaves behind, such as a large heap, is not the other's).
It is told what to do, and answers how many seconds it took. They take turns, a short one each in every round, so that
what else the machine does meets all of them; figures are medians over the rounds, and shares are medians of each
round's share. What they do for one child:

    spawned   C: vfork, execve, wait, and nothing else. The others: the three streams are /dev/null.
    run       C: two pipes, vfork, execve, both read to their ends through an epoll set, waitpid. The others: what the
              child writes to stdout and stderr is kept, and handed over with its exit code; stdin is /dev/null.

All but C give the child a result to wait for while others run (subprocess blocks, with 64 at once in threads), and
close in it what it is not to have; rookery, the bare loop and the second C give it a session of its own, which costs
the kernel a fifth of what a start does: the target is told beside both.
"""

import argparse
import contextlib
import os
import select
import shutil
import subprocess
import sys
from importlib import metadata

from programs import CHECKOUT, HERE, process_program
from report import Report, median, milliseconds, shown

SIZE = 10_000_000
LINES = 500_000
CHILDREN = {1: 100, 64: 256}
CAPTURES = 3
PATIENCE = 60.0
C, OURS, BARE = "C", "rookery", "asyncio loop alone"
C_SESSIONS = "C, a session each"
PYTHONS = {BARE: "bare", OURS: "rookery", "asyncio": "asyncio", "anyio": "anyio", "subprocess": "subprocess"}
PEERS = ("asyncio", "anyio", "subprocess", "Node")
SPAWNING = (C, C_SESSIONS, BARE, OURS, *PEERS)
KEEPING = (C, C_SESSIONS, OURS, *PEERS)
LINING = (OURS, "asyncio", "subprocess", "Node")


class Contender:
    """One of them, running and waiting to be asked. After a failure it has nothing more to say."""

    def __init__(self, argv):
        self.failure = None
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.path.join(CHECKOUT, "src")},
        )

    def seconds(self, *words):
        """How long it took; None where it failed."""
        if self.failure is None:
            try:
                self._process.stdin.write(" ".join(map(str, words)) + "\n")
                self._process.stdin.flush()
                if select.select([self._process.stdout], [], [], PATIENCE)[0]:
                    return float(self._process.stdout.readline())
                self._process.kill()
                self.failure = f"no answer in {PATIENCE:g} s: {words[0]}"
            except (OSError, ValueError):
                self.failure = f"failed: {words[0]}"
        return None

    def leave(self):
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    options = parser.parse_args()
    report = Report(markdown=options.markdown)
    report.machine(("anyio", _version("anyio")))
    program = process_program()
    work = {("spawn", many): (SPAWNING, ("spawn", count, many)) for many, count in CHILDREN.items()}
    work |= {("run", many): (KEEPING, ("run", count, many)) for many, count in CHILDREN.items()}
    work["capture"] = (KEEPING, ("capture", program, SIZE, CAPTURES))
    work["lines"] = (LINING, ("lines", program, LINES))
    argvs = dict(ways(program))
    kinds = {(name, words[0]) for names, words in work.values() for name in names if name in argvs}
    contenders = {(name, kind): Contender(argvs[name]) for name, kind in kinds}
    try:
        found = measure(contenders, work, options.rounds)
    finally:
        for contender in contenders.values():
            contender.leave()
    tell(report, contenders, found)
    report.targets()


def ways(program):
    yield C, [program]
    yield C_SESSIONS, [program, "sessions"]
    for name, word in PYTHONS.items():
        if name != "anyio" or _version("anyio"):
            yield name, [sys.executable, os.path.join(HERE, "process_python.py"), word]
    if shutil.which("node"):
        yield "Node", ["node", os.path.join(HERE, "process.js")]


def measure(contenders, work, rounds):
    """{(work, name): the seconds of each round}; the first round is not counted."""
    found = {}
    for number in range(rounds + 1):
        for what, (names, words) in work.items():
            # Back and forth: nobody always comes after the same one.
            for name in names if number % 2 else reversed(names):
                contender = contenders.get((name, words[0]))
                seconds = contender and contender.seconds(*words)
                if number and seconds is not None:
                    found.setdefault((what, name), []).append(seconds)
    return found


def tell(report, contenders, found):
    for what, names, title in (
        ("spawn", SPAWNING, "Children: /bin/true started and waited for, its streams discarded"),
        ("run", KEEPING, "The same with its output kept: two pipes"),
    ):
        rows = []
        for name in names:
            row = [name]
            for many, count in CHILDREN.items():
                share = _share(found, (what, many), C, name)
                row += [_rate(found, (what, many), name, count), shown(share and share * 100, " %")]
            rows.append(row)
        header = ["", "one after the other, 1/s", "of C", "64 at once, 1/s", "of C"]
        report.table(title, header, rows)
    rows = [
        [
            name,
            milliseconds(median(found.get(("capture", name)))),
            _rate(found, "lines", name, LINES),
            shown(_share(found, "lines", "asyncio", name), " x", 1),
        ]
        for name in KEEPING
    ]
    title = f"{SIZE // 1_000_000} MB captured, and {LINES:,} lines gone through"
    report.table(title, ["", "captured", "lines/s", "of asyncio"], rows)
    for (name, _), contender in contenders.items():
        if contender.failure:
            report.remark(f"{name}: {contender.failure}")
    for what, word in (("spawn", "spawned"), ("run", "run, output kept")):
        for many, how in ((1, "one after the other"), (64, "64 at once")):
            for c in (C, C_SESSIONS):
                share = _share(found, (what, many), c, OURS)
                report.target(f"{word}, {how}, % of {c}", share and share * 100, 75, unit=" %", at_least=True)
    for name in (C, *PEERS):
        times = _share(found, "capture", OURS, name)
        limit = 2 if name == C else 1
        report.target(f"{SIZE // 1_000_000} MB captured, times {name}", times, limit, digits=2)
    report.target("lines, times asyncio", _share(found, "lines", "asyncio", OURS), 4, digits=1, at_least=True)


def _share(found, what, first, second):
    """How fast the second is, beside the first, in the middle of all rounds; None where one has failed."""
    pairs = list(zip(found.get((what, first), ()), found.get((what, second), ()), strict=False))
    return median([a / b for a, b in pairs])


def _rate(found, what, name, count):
    took = median(found.get((what, name)))
    return shown(took and count / took)


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    main()
