"""What a process pool costs at least on this machine: bare sockets, then with pickle, then with futures. Half a minute.

    python benchmarks/pool_floor.py [--rounds 5] [--tasks 10000] [--workers 2] [--window 64] [--markdown]

A task is one packet of a SOCK_SEQPACKET socket and up to a window of them is ahead of each worker; the replies come
back by a stream. A worker sends each reply by itself, or gathers them as long as tasks are waiting. The contenders
take turns, each in a process of its own.
"""

import argparse
import os
import statistics
import subprocess
import sys

from pool_floor_rates import WAYS
from pool_floor_trips import BARE_TRIP, TRIP_WAYS
from report import Report, median, shown


def main():
    options = _options()
    if options.way is not None:
        print(WAYS[options.way](options))
        return
    if options.trip is not None:
        took = sorted(TRIP_WAYS[options.trip](options))
        print(statistics.median(took), took[len(took) * 99 // 100])
        return
    report = Report(markdown=options.markdown)
    report.machine()
    found = {name: [] for name in WAYS}
    trips = {(name, pinned): [] for pinned in (False, True) for name in TRIP_WAYS}
    for _ in range(options.rounds):
        for name, values in found.items():
            values.append(_one("--way", name, options)[0])
        for (name, pinned), values in trips.items():
            values.append(_one("--trip", name, options, pinned=pinned))
    _tell(report, found, trips, options)


def _tell(report, found, trips, options):
    times = {name: median(values) for name, values in found.items()}
    least = times["ProcessPoolExecutor.submit"]
    rows = []
    for name, took in times.items():
        each = took / options.tasks
        rows.append([
            name, shown(1 / each / 1000, " k/s", 1), shown(each * 1e6, " us", 1), shown(least / took, " x", 1)
        ])  # fmt: skip
    title = f"{options.tasks:,} tasks, {options.workers} workers, window {options.window} (medians)"
    report.table(title, ["", "tasks", "for one", "of ProcessPoolExecutor"], rows)
    rows = []
    for name in TRIP_WAYS:
        row = [name]
        for pinned in (False, True):
            middle, late = (median([value[which] for value in trips[name, pinned]]) for which in (0, 1))
            bare_trip = median([value[0] for value in trips[BARE_TRIP, pinned]])
            row += [shown(middle * 1e6, " us", 1), shown(late * 1e6, " us", 1), shown(middle / bare_trip, " x", 2)]
        rows.append(row)
    header = ["", "p50", "p99", "of the bare", "on one CPU: p50", "p99", "of the bare"]
    report.table("There and back, one at a time", header, rows)


def _one(kind, name, options, *, pinned=False):
    words = ["--tasks", str(options.tasks), "--workers", str(options.workers), "--window", str(options.window)]
    before = os.sched_getaffinity(0)
    if pinned:
        os.sched_setaffinity(0, {min(before)})  # what it starts stays there too
    try:
        ran = subprocess.run(
            [sys.executable, __file__, kind, name, *words], stdout=subprocess.PIPE, text=True, check=True, timeout=60
        )
    finally:
        os.sched_setaffinity(0, before)
    return [float(word) for word in ran.stdout.split()]


def _options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--way", choices=WAYS, help="this one alone: seconds")
    parser.add_argument("--trip", choices=TRIP_WAYS, help="this one alone: seconds of p50 and p99")
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    return parser.parse_args()


if __name__ == "__main__":
    main()
