"""How fast children are started, read and gone through by lines: C, rookery, Python's own ways, anyio and Node.

    python benchmarks/process.py [--rounds 5] [--markdown]

The contenders take turns, so that what else the machine does meets all of them; each runs in a process of its own.
"""

import argparse
import os
import shutil
import subprocess
import sys

from programs import CHECKOUT, HERE, KEPT
from report import Report, median, milliseconds, shown
from running import Failed, run

SIZE = 10_000_000
LINES = 500_000
CHILDREN = {1: 500, 64: 1000}
CAPTURES = 9
BARE = "asyncio loop alone"
PYTHONS = {
    BARE: "bare",
    "rookery": "rookery",
    "rookery run()": "run",
    "asyncio": "asyncio",
    "anyio": "anyio",
    "subprocess": "subprocess",
}
C, OURS = "C", "rookery"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    options = parser.parse_args()
    report = Report(markdown=options.markdown)
    report.machine()
    program = built()
    one = measure({name: [*argv, "spawn", str(CHILDREN[1]), "1"] for name, argv in ways(program)}, options.rounds)
    many = measure({name: [*argv, "spawn", str(CHILDREN[64]), "64"] for name, argv in ways(program)}, options.rounds)
    reading = {name: read(name, argv, program, "capture", SIZE, CAPTURES) for name, argv in ways(program)}
    captured = measure(
        {name: argv for name, argv in reading.items() if name not in (BARE, "rookery run()")}, options.rounds
    )
    listing = {name: read(name, argv, program, "lines", LINES) for name, argv in ways(program)}
    lined = measure(
        {name: argv for name, argv in listing.items() if name in (OURS, "asyncio", "subprocess", "Node")},
        options.rounds,
    )
    tell(report, one, many, captured, lined)
    report.targets()


def built():
    """The C program. There is no benchmark without a compiler: C is what all else is measured by."""
    source, path = os.path.join(HERE, "c", "process.c"), os.path.join(KEPT, "process")
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        sys.exit("this benchmark needs a C compiler")
    os.makedirs(KEPT, exist_ok=True)
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(source):
        subprocess.run([compiler, "-O2", "-o", path, source], check=True)
    return path


def ways(program):
    yield C, [program]
    for name, word in PYTHONS.items():
        yield name, [sys.executable, os.path.join(HERE, "process_python.py"), word]
    if shutil.which("node"):
        yield "Node", ["node", os.path.join(HERE, "process.js")]


def read(name, argv, program, *words):
    own = [] if name == C else [program]
    return [*argv, words[0], *own, *map(str, words[1:])]


def measure(commands, rounds):
    """Name: the median of the seconds it took, or why there is none."""
    samples = {name: [] for name in commands}
    for _ in range(rounds):
        for name, argv in commands.items():
            if isinstance(samples[name], list):
                try:
                    samples[name].append(
                        float(run(argv, {**os.environ, "PYTHONPATH": os.path.join(CHECKOUT, "src")})[1])
                    )
                except Failed as failed:
                    samples[name] = str(failed)
    return {name: found if isinstance(found, str) else median(found) for name, found in samples.items()}


def tell(report, one, many, captured, lined):
    rows = []
    for name in one:
        rates = [_rate(CHILDREN[1], one[name]), _rate(CHILDREN[64], many[name]), _rate(LINES, lined.get(name))]
        rows.append([name, shown(rates[0]), shown(rates[1]), milliseconds(captured.get(name)), shown(rates[2])])
    header = ["", "one after the other, 1/s", "64 at once, 1/s", f"{SIZE // 1_000_000} MB captured", "lines/s"]
    report.table("Children: /bin/true started and waited for, output captured, lines gone through", header, rows)
    for what, found, count in (("one after the other", one, CHILDREN[1]), ("64 at once", many, CHILDREN[64])):
        for name in (OURS, "rookery run()"):
            share = _rate(count, found[name]) / _rate(count, found[C]) * 100
            report.target(f"{name}, {what}, % of C", share, 75, unit=" %", at_least=True)
        if isinstance(found[BARE], float):
            report.remark(f"{what}: rookery is at {found[BARE] / found[OURS] * 100:.0f} % of {BARE}")
    report.target("10 MB captured, times C", captured[OURS] / captured[C], 2, digits=1)
    for name in ("subprocess", "asyncio", "anyio", "Node"):
        if isinstance(captured.get(name), float):
            report.target(f"10 MB captured, times {name}", captured[OURS] / captured[name], 1, digits=2)
    report.target("lines, times asyncio", lined["asyncio"] / lined[OURS], 4, digits=1, at_least=True)


def _rate(count, seconds):
    return count / seconds if isinstance(seconds, float) else None


if __name__ == "__main__":
    main()
