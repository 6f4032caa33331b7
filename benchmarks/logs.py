"""How fast, at what cost and how faithfully output reaches its file: a plain file, rookery, supervisord and PM2.

    python benchmarks/logs.py [--megabytes 200] [--rounds 5] [--peer-rounds 3] [--markdown]

The contenders take turns, so that what else the machine does meets all of them. Ends what it started.
"""

import argparse
import contextlib
import tempfile

import log_contenders
import peers
from log_check import Expected
from log_run import Run
from log_swarm import swarm
from ours import Rookery
from pm2 import Pm2
from programs import app
from report import Report, median, shown
from running import Failed
from supervisord import Supervisord

LINE = 100
HEADER = ["", "MB/s", "lowest to highest", "of plain", "CPU s/GB", "manager s/GB", "lost", "damaged", "doubled"]
PLAIN, RAW, STAMPED = "plain file (shell >)", "rookery", "rookery, timestamps"
OURS = {
    RAW: {"max_size": "10M"},
    "rookery, no rotation": {"max_size": "100G"},
    STAMPED: {"timestamps": True},
    "rookery, json": {"json": True},
    "rookery, via direct": {"via": "direct"},
}


def main():
    options = _options()
    report = Report(markdown=options.markdown)
    argv, what = app()
    report.machine(["apps written in", what])
    lines = options.megabytes * 1_000_000 // LINE
    with tempfile.TemporaryDirectory(prefix="rook-bench-") as folder, contextlib.ExitStack() as stack:
        rookery = Rookery(folder)
        stack.callback(rookery.close)
        run = Run(folder, argv, lines, Expected(lines))
        cases, absent = _cases(folder, rookery, run, stack, options)
        samples = _measure(run, cases)
        _tell_speed(report, samples, absent, options.megabytes)
        if not options.no_swarm:
            _swarm(report, rookery, argv, options.apps)
    report.targets()


def _options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200, help="that one run writes")
    parser.add_argument("--rounds", type=int, default=5, help="of rookery and the plain file")
    parser.add_argument("--peer-rounds", type=int, default=3, help="of supervisord and PM2; 0: without them")
    parser.add_argument("--apps", type=int, default=200, help="in the second part: each writes 100 lines a second")
    parser.add_argument("--no-swarm", action="store_true", help="without the second part")
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    return parser.parse_args()


def _cases(folder, rookery, run, stack, options):
    """Name: (contender, rounds); and why there is none for some."""
    cases = {PLAIN: (log_contenders.PlainFile(folder), options.rounds)}
    for number, (name, settings) in enumerate(OURS.items()):
        cases[name] = log_contenders.Ours(rookery, f"full{number}", **settings), options.rounds
    absent = {}
    if options.peer_rounds:
        try:
            daemon = Supervisord(folder)
            stack.callback(daemon.close)
            cases["supervisord"] = log_contenders.Supervisor(daemon, "full", run.argv), options.peer_rounds
        except peers.Missing as missing:
            absent["supervisord"] = str(missing)
        try:
            pm2 = Pm2(folder)
            stack.callback(pm2.close)
            cases["PM2"] = log_contenders.Pm2(pm2, "raw"), options.peer_rounds
            cases["PM2 --time"] = log_contenders.Pm2(pm2, "time", time=True), options.peer_rounds
        except peers.Missing as missing:
            absent["PM2"] = str(missing)
    return cases, absent


def _measure(run, cases):
    """Name: its samples, or why there are none."""
    samples = {name: [] for name in cases}
    for number in range(max(rounds for _, rounds in cases.values())):
        for name, (contender, rounds) in cases.items():
            if number < rounds and isinstance(samples[name], list):
                try:
                    samples[name].append(run.measure(contender))
                except Failed as failed:
                    samples[name] = str(failed)
    return samples


def _tell_speed(report, samples, absent, megabytes):
    plain = median([sample.seconds for sample in samples[PLAIN]])
    rows, speeds, costs = [], {}, {}
    for name, found in samples.items():
        if isinstance(found, str):
            absent = {**absent, name: found}
            continue
        speeds[name] = megabytes / median([sample.seconds for sample in found])
        costs[name] = _cost(found, megabytes)
        lost, damaged, doubled = (max(getattr(sample.tally, what) for sample in found) for what in HEADER[-3:])
        handled = next((costs[name][role] for role in ("collector", "daemon") if role in costs[name]), None)
        cells = [speeds[name] * plain / megabytes, handled, costs[name].get("manager")]
        rows.append([
            name, shown(speeds[name]), _range(megabytes / sample.seconds for sample in found),
            *(shown(cell, digits=2) for cell in cells), *(f"{count:,}" for count in (lost, damaged, doubled)),
        ])  # fmt: skip
    rows += [[name, peers.gist(why), *[""] * (len(HEADER) - 2)] for name, why in absent.items()]
    report.table(f"{megabytes} MB of {LINE}-byte lines from one app at full speed", HEADER, rows)
    for name, why in absent.items():
        report.remark(f"{name}: {why}")
    raw = costs.get(RAW, {})
    report.target("raw, MB/s", speeds.get(RAW), 600, at_least=True)
    report.target("raw, CPU s/GB of the collector", raw.get("collector"), 1.0, digits=2)
    report.target("raw, CPU s/GB of the manager", raw.get("manager"), 0.05, digits=2)
    report.target("timestamps, MB/s", speeds.get(STAMPED), 300, at_least=True)
    wrong = [name for name in OURS if isinstance(samples[name], str) or not _is_perfect(samples[name])]
    report.target("ours with lines lost, damaged or doubled, or not measured", len(wrong), 0)


def _range(speeds):
    speeds = sorted(speeds)
    return f"{shown(speeds[0])}-{shown(speeds[-1])}"


def _cost(samples, megabytes):
    """CPU seconds per GB by role."""
    return {role: median([sample.cpu[role] for sample in samples]) * 1000 / megabytes for role in samples[0].cpu}


def _is_perfect(samples):
    return all(sample.tally.is_perfect for sample in samples)


def _swarm(report, rookery, argv, apps):
    try:
        many = swarm(rookery, argv, Expected, apps=apps, rate=100, seconds=10)
    except Failed as failed:
        report.target(f"{apps} apps", str(failed), 0)
        return
    rows = [[role, shown(cpu, " %", 1)] for role, cpu in many.cpu.items()]
    rows = [[f"CPU of the {name}" if name != "follower" else "CPU of rook logs -f", cpu] for name, cpu in rows]
    rows += [["lines written", f"{many.lines:,}"], ["lost", f"{many.tally.lost:,}"]]
    rows += [["damaged", f"{many.tally.damaged:,}"], ["doubled", f"{many.tally.doubled:,}"]]
    rows += [["lines printed by rook logs -f", f"{many.followed:,}"]]
    report.table(f"{apps} apps, 100 lines a second each", ["", "here"], rows)
    report.target(f"{apps} apps: lines lost", many.tally.lost, 0)
    report.target(f"{apps} apps: rook logs -f, % of a core", many.cpu["follower"], 20, unit=" %", digits=1)
    report.target(f"{apps} apps: lines rook logs -f did not print", many.lines - many.followed, 0)


if __name__ == "__main__":
    main()
