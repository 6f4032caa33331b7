"""Messages between two processes: rookery's channels, multiprocessing.Connection, plain C, and Node. About a minute.

    python benchmarks/ipc.py [--rounds 5] [--messages 300000] [--trips 10000] [--large 200] [--markdown]

The contenders take turns. A small message is {"id": 1, "x": "hello"} (14 bytes in C), a large one 1,000,000 bytes.
Round trips of small messages have both processes on one CPU: on two, they mostly measure how the machine wakes up.
C writes each message by itself and decodes nothing. Arrays: see benchmarks/shared.py, of which one line is shown here.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys

import programs
import shared
from report import Report, median, shown

C, ASYNCIO, UVLOOP, SYNC, MIXED = "C", "Channel", "Channel, uvloop", "SyncChannel", "Channel to SyncChannel"
PLAIN, NODE = "multiprocessing.Connection", "Node child_process"
KINDS = {ASYNCIO: "asyncio", UVLOOP: "uvloop", SYNC: "sync", MIXED: "mixed", PLAIN: "multiprocessing"}
LIMIT = 60


def main():
    options = _options()
    report = Report(markdown=options.markdown)
    report.machine()
    contenders = _contenders()
    works = {
        "one way": (["oneway", str(options.messages), "14"], None),
        "round trip": (["roundtrip", str(options.trips), "14"], options.cpu),
        "1 MB round trip": (["roundtrip", str(options.large), "1000000"], None),
    }
    found = {(name, work): [] for name in contenders for work in works}
    for _ in range(options.rounds):
        for work, (words, cpu) in works.items():
            for name, command in contenders.items():
                found[name, work].append(_run(command, words, cpu))
    results = _Results(found)
    array = shared.hand_over(options.array * 1_000_000, 5) if options.array else None
    _tell(report, contenders, results, options, array)
    _targets(report, results, options, array)


class _Results:
    """Seconds of each round by (contender, work); None where one did not end."""

    def __init__(self, found):
        self._found = found

    def seconds(self, name, work):
        """The median."""
        return median([value for value in self._found.get((name, work), ()) if value is not None])

    def ratio(self, above, below, work):
        """The median of what was measured side by side: noise of the machine meets both."""
        rounds = zip(self._found.get((above, work), ()), self._found.get((below, work), ()), strict=False)
        return median([one / other for one, other in rounds if one and other])


def _options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=300_000, help="in one run of one way")
    parser.add_argument("--trips", type=int, default=10_000, help="of a small message in one run")
    parser.add_argument("--large", type=int, default=200, help="trips of a large message in one run")
    parser.add_argument("--cpu", type=int, default=min(os.sched_getaffinity(0)), help="for round trips")
    parser.add_argument("--array", type=int, default=100, help="megabytes of the array that is handed over; 0: none")
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    return parser.parse_args()


def _contenders():
    """Name: command."""
    pair = os.path.join(programs.HERE, "ipc_pair.py")
    found = {name: [sys.executable, pair, kind] for name, kind in KINDS.items()}
    if importlib.util.find_spec("uvloop") is None:
        del found[UVLOOP]
    compiled = _compiled()
    if compiled is not None:
        found = {C: [compiled], **found}
    node = shutil.which("node")
    if node is not None:
        found[NODE] = [node, os.path.join(programs.HERE, "ipc_node.js")]
    return found


def _compiled():
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    source, built = os.path.join(programs.HERE, "c", "ipc.c"), os.path.join(programs.KEPT, "ipc")
    os.makedirs(programs.KEPT, exist_ok=True)
    if not os.path.exists(built) or os.path.getmtime(built) < os.path.getmtime(source):
        subprocess.run([compiler, "-O2", "-o", built, source], check=True)
    return built


def _run(command, words, cpu):
    """Seconds that it took, or None where it did not end."""
    before = os.sched_getaffinity(0)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})  # what it starts stays there too
    try:
        ran = subprocess.run([*command, *words], capture_output=True, text=True, timeout=LIMIT, check=False)
        return float(ran.stdout) if ran.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError):
        return None
    finally:
        os.sched_setaffinity(0, before)


def _tell(report, contenders, results, options, array):
    rows = []
    for name in contenders:
        way, trip, large = (results.seconds(name, work) for work in ("one way", "round trip", "1 MB round trip"))
        rows.append([
            name,
            shown(way and options.messages / way / 1000, " k/s"),
            shown(results.ratio(C, name, "one way"), " x", 2),
            shown(trip and trip / options.trips * 1e6, " us", 1),
            shown(results.ratio(name, C, "round trip"), " x", 2),
            shown(large and large / options.large * 1e6, " us"),
            shown(results.ratio(PLAIN, name, "1 MB round trip"), " x", 2),
        ])  # fmt: skip
    header = ["", "one way", "of C", "round trip", "of C", "1 MB there and back", "speed of multiprocessing"]
    report.table("Messages between two processes (medians)", header, rows)
    if array is not None:
        mapping, pickled = array
        ways = f"{mapping * 1000:.1f} ms in shared memory used again, {pickled * 1000:.1f} ms by pickle through a pipe"
        report.remark(f"An array of {options.array} MB handed over: {ways}.")


def _targets(report, results, options, array):
    way = results.seconds(ASYNCIO, "one way")
    report.target(
        "small messages, one way", way and options.messages / way / 1e6, 1.5, unit=" M/s", digits=2, at_least=True
    )
    for name in (ASYNCIO, SYNC):
        report.target(f"round trip, {name}, of C", results.ratio(name, C, "round trip"), 2.5, unit=" x", digits=2)
    large = results.ratio(ASYNCIO, PLAIN, "1 MB round trip")
    report.target("1 MB round trip, of multiprocessing", large, 1.0, unit=" x", digits=2)
    if array is not None:
        faster = array[1] / array[0]
        report.target(f"{options.array} MB handed over, faster than pickle", faster, 20, unit=" x", at_least=True)
    report.targets()


main()
