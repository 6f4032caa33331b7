"""Process pools: rookery's beside those of Python and Node. About three minutes; --quick: half a minute.

    python benchmarks/pool.py [--rounds 3] [--workers 2] [--quick] [--only rookery,loky] [--markdown]

The contenders take turns, and each works in a process of its own for each figure. All of them have the same workers,
work through distinct values, and are set as their manuals recommend; what they answer is checked. Figures are medians
over the rounds, ratios the medians of the rounds' own ratios. Node's pools have a column where they have the thing;
those of piscina are threads. See pool_floor.py for what the machine itself would give.
"""

import argparse

from pool_run import FUTURES, MULTIPROCESSING, NAMES, OURS, Runner
from report import Report, median, milliseconds, shown
from running import Failed

SUBMITTING = (OURS, FUTURES, MULTIPROCESSING, "loky", "pebble", "mpire")
ASYNC = (OURS, FUTURES, "loky", "pebble", "anyio.to_process", "piscina", "workerpool")
ALL = tuple(NAMES)
SIZES = {"submit": 10_000, "map": 100_000, "trips": 1000, "array": 100, "echo": 50, "head": 10_000, "killed": 2000}
JOBLIB_TRIPS = 100
"""Ten milliseconds each."""


class Work:
    """One thing that is measured, and of whom."""

    def __init__(self, name, size, contenders, *, rounds=None):
        self.name, self.size, self.contenders, self.rounds = name, size, contenders, rounds


def main():
    options = _options()
    report = Report(markdown=options.markdown)
    runner = Runner(options.workers)
    report.machine(["workers of each", str(options.workers)], *runner.versions())
    found = Found()
    works = _works(options)
    for number in range(options.rounds):
        for work in works:
            for name in work.contenders:
                wanted = options.only is None or name in options.only
                rounds = 1 if name == "joblib" else work.rounds or options.rounds  # seconds for each of its works
                if wanted and name not in runner.missing and number < rounds:
                    found.take(runner, name, work, number)
    _tell(report, found, options)
    for name, why in runner.missing.items():
        report.remark(f"{NAMES.get(name, name)}: {why}")
    for text in found.failures():
        report.remark(text)
    if OURS not in runner.missing:
        _targets(report, found)
        report.targets()


class Found:
    """What came out: for each contender and work the figures of the rounds."""

    def __init__(self):
        self._figures = {}
        self._failed = {}

    def take(self, runner, name, work, number):
        word, size = work.name, work.size
        if name == "anyio.to_process" and word in ("array", "echo"):
            word = f"asyncio {word}"
        if name in ("piscina", "workerpool") and word == "trips":
            word = "asyncio trips"
        if name == "joblib" and word == "trips":
            size = JOBLIB_TRIPS
        try:
            self._figures.setdefault((name, work.name), {})[number] = runner.run(name, word, size)
        except Failed as failed:
            self._failed[name, work.name] = str(failed)

    def figure(self, name, work, key="seconds"):
        """The median, or None where there is none."""
        values = [each.get(key) for each in self._figures.get((name, work), {}).values()]
        return median([value for value in values if value is not None])

    def all(self, name, work, key):
        return [each.get(key) for each in self._figures.get((name, work), {}).values()]

    def everywhere(self, works, key):
        found = [value for name in ALL for work in works for value in self.all(name, work, key)]
        return [value for value in found if value is not None]

    def ratio(self, above, below):
        """Of two (contender, work, key): the median over the rounds that have both."""
        over, under = ({**self._figures.get(each[:2], {})} for each in (above, below))
        values = [(over[number].get(above[2]), under[number].get(below[2])) for number in over if number in under]
        return median([first / second for first, second in values if first and second])

    def times(self, name, work, other, other_work=None):
        """How many times as fast as the other one."""
        return self.ratio((other, other_work or work, "seconds"), (name, work, "seconds"))

    def failures(self):
        return [f"{NAMES[name]}, {work}: {why}" for (name, work), why in self._failed.items()]


def _works(options):
    sizes = {name: size // 5 if options.quick and name in ("submit", "map", "trips", "echo") else size
             for name, size in SIZES.items()}  # fmt: skip
    chosen = [
        Work("submit", sizes["submit"], SUBMITTING),
        Work("asyncio", sizes["submit"], ASYNC),
        Work("map", sizes["map"], (*SUBMITTING, "joblib")),
        Work("trips", sizes["trips"], (*SUBMITTING, "joblib")),
        Work("asyncio trips", sizes["trips"], ASYNC),
        Work("first", 1, ALL),
        Work("array", sizes["array"], ALL, rounds=2),
        Work("echo", sizes["echo"], ALL),
        Work("head", sizes["head"], SUBMITTING, rounds=2),
        Work("killed", sizes["killed"], (*SUBMITTING, "workerpool"), rounds=1),
    ]
    if options.quick:
        close = (OURS, FUTURES, MULTIPROCESSING)
        for work in chosen:
            work.contenders = tuple(name for name in work.contenders if name in close)
    return chosen


def _options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=None, help="3; with --quick 1")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="rookery and the standard library alone, fewer tasks")
    parser.add_argument("--only", type=lambda text: text.split(","), help="these contenders: " + ", ".join(NAMES))
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.tasks = SIZES["submit"] // (5 if options.quick else 1)
    options.mapped = SIZES["map"] // (5 if options.quick else 1)
    return options


def _tell(report, found, options):
    _throughput(report, found, options)
    _trips(report, found)
    _payloads(report, found)
    _head(report, found)
    _killed(report, found)


def _throughput(report, found, options):
    rows = []
    for name in ALL:
        taken = [found.figure(name, work) for work in ("submit", "asyncio", "map")]
        if any(taken):
            rates = [seconds and count / seconds / 1000 for seconds, count in
                     zip(taken, (options.tasks, options.tasks, options.mapped), strict=True)]  # fmt: skip
            rows.append([
                NAMES[name],
                shown(rates[0], " k/s", 1), shown(found.times(name, "submit", FUTURES), " x", 2),
                shown(rates[1], " k/s", 1), shown(found.times(name, "asyncio", FUTURES), " x", 2),
                shown(found.times(name, "asyncio", FUTURES, "submit"), " x", 2),
                shown(rates[2], " k/s"), shown(found.times(name, "map", MULTIPROCESSING), " x", 2),
            ])  # fmt: skip
    header = ["", "submit, result", "of ProcessPoolExecutor", "awaited", "of its run_in_executor", "of its submit",
              "map", "of multiprocessing"]  # fmt: skip
    title = f"{options.tasks:,} tasks that do nothing, and {options.mapped:,} by map (medians)"
    report.table(title, header, rows)


def _trips(report, found):
    rows = []
    for work, how in (("trips", "submit"), ("asyncio trips", "awaited")):
        for name in ALL:
            middle = found.figure(name, work, "p50")
            if middle:
                free, apart = (found.ratio((name, work, "p50"), (name, work, key)) for key in ("bare p50", "apart p50"))
                late = found.figure(name, work, "p99")
                rows.append([
                    f"{NAMES[name]}, {how}", shown(middle * 1e6, " us"), shown(late * 1e6, " us"),
                    shown(free, " x", 2), shown(apart, " x", 2),
                ])  # fmt: skip
    for key, what in (("bare", "bare socket pair"), ("apart", "bare socket pair, a CPU each")):
        both = [median(found.everywhere(("trips", "asyncio trips"), f"{key} {which}")) for which in ("p50", "p99")]
        rows.append([what, *(shown(value and value * 1e6, " us") for value in both), shown(None), shown(None)])
    header = ["", "p50", "p99", "p50 of bare", "of bare, a CPU each"]
    report.table("There and back, one at a time", header, rows)


def _payloads(report, found):
    rows = [
        [
            NAMES[name],
            *(milliseconds(found.figure(name, "first", key)) for key in ("with import", "first", "second")),
            milliseconds(found.figure(name, "array")), shown(found.times(name, "array", FUTURES), " x", 2),
            milliseconds(found.figure(name, "echo")), shown(found.times(name, "echo", FUTURES), " x", 2),
        ]
        for name in ALL if found.figure(name, "first", "first") or found.figure(name, "array")
    ]  # fmt: skip
    header = ["", "import to first result", "made to first result", "second pool", f"{SIZES['array']} MB array",
              "of ProcessPoolExecutor", "1 MB echo", "of ProcessPoolExecutor"]  # fmt: skip
    report.table("First results, and large arguments", header, rows)


def _head(report, found):
    rows = []
    for name in ALL:
        if found.figure(name, "head", "ended"):
            late = [milliseconds(found.figure(name, "head", key)) for key in ("p99.9", "max")]
            rows.append([NAMES[name], *late, milliseconds(found.figure(name, "head", "ended"))])
    title = "One task of 1 s among 10,000 of 0.1 ms: how much later than in the order of submission short ones began"
    report.table(title, ["", "p99.9", "latest", "all done after"], rows)


def _killed(report, found):
    rows = []
    for name in ALL:
        if found.figure(name, "killed", "done"):
            counts = [_spread(found.all(name, "killed", key)) for key in ("done", "failed", "hanging")]
            why = next((text for text in found.all(name, "killed", "why") if text), None)
            rows.append([NAMES[name], *counts, milliseconds(found.figure(name, "killed", "fresh")), shown(why)])
    header = ["", "done", "failed", "no answer in 3 s", "first task of the next worker", "error"]
    report.table("kill -9 of a worker within one of 2,000 tasks", header, rows)


def _spread(values):
    least, most = min(values), max(values)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _targets(report, found):
    def least(what, value, limit, digits=2):
        report.target(what, value, limit, unit=" x", digits=digits, at_least=True)

    least("submit, times ProcessPoolExecutor", found.times(OURS, "submit", FUTURES), 3)
    least("submit, times multiprocessing.Pool", found.times(OURS, "submit", MULTIPROCESSING), 1)
    least("awaited, times ProcessPoolExecutor by run_in_executor", found.times(OURS, "asyncio", FUTURES), 8)
    least("awaited, times ProcessPoolExecutor by submit", found.times(OURS, "asyncio", FUTURES, "submit"), 8)
    for work, how, limit in (("asyncio trips", "awaited", 1.5), ("trips", "submit", 2.5)):
        for key, what in (("bare p50", "bare"), ("apart p50", "bare, a CPU each")):
            value = found.ratio((OURS, work, "p50"), (OURS, work, key))
            report.target(f"there and back, {how}, of {what}", value, limit, unit=" x", digits=2)
    least("map, times multiprocessing.Pool", found.times(OURS, "map", MULTIPROCESSING), 0.9)
    least("100 MB array, times ProcessPoolExecutor", found.times(OURS, "array", FUTURES), 3)
    least("1 MB echo, times ProcessPoolExecutor", found.times(OURS, "echo", FUTURES), 1)
    for key, what in (("first", "first result"), ("second", "first result of a second pool")):
        value = found.figure(OURS, "first", key)
        report.target(what, value and value * 1000, 60, unit=" ms", digits=1)
    late, theirs = (found.figure(name, "head", "max") for name in (OURS, MULTIPROCESSING))
    beyond = None if late is None or theirs is None else (late - theirs) * 1000
    report.target("latest short task, beyond multiprocessing.Pool's", beyond, 5, unit=" ms", digits=1)
    for key, limit in (("failed", 1), ("hanging", 0)):
        values = found.all(OURS, "killed", key)
        report.target(f"kill -9 of a worker, tasks {key}", max(values) if values else None, limit)


if __name__ == "__main__":
    main()
