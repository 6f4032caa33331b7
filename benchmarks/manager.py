"""What a process manager costs: starts, restarts, lists, memory, idle CPU and the time until a killed app is back.

    python benchmarks/manager.py [--apps 100] [--rounds 3] [--idle 20] [--markdown]

rookery, supervisord and PM2 keep the same apps at the same time, in folders of their own, and take turns. Above 200
apps only rookery is measured. Ends what it started.
"""

import argparse
import contextlib
import os
import tempfile

import peers
from manager_contenders import Pm2, Rookery, Supervisord
from manager_phases import idle, kills, life, lists
from programs import app
from report import NOTHING, Report, median, milliseconds, shown
from running import Failed

MEGABYTE = 1024 * 1024
MOST_FOR_PEERS = 200
PHASES = ("start, no manager", "start, manager is up", "restart all", "restart all, settled", "delete or stop all")
TARGETS = {"start, no manager": 0.9, "start, manager is up": 0.5, "restart all": 1.2, "delete or stop all": 1.0}
OURS = Rookery.title


def main():
    options = _options()
    report = Report(markdown=options.markdown)
    argv, what = app()
    report.machine(["killed apps written in", what])
    with tempfile.TemporaryDirectory(prefix="rook-bench-") as folder, contextlib.ExitStack() as stack:
        contenders, absent = _contenders(folder, stack, options)
        titles = [*(one.title for one in contenders), *absent]
        took = _lives(contenders, options, absent)
        with_target = options.apps <= MOST_FOR_PEERS
        _tell_life(report, took, titles, absent, options.apps, with_target=with_target)
        standing = [one for one in contenders if one.title not in absent]
        _tell_lists(report, lists(standing), titles, absent, with_target=with_target)
        _tell_idle(report, idle(standing, options.idle), options, with_target=with_target)
        if with_target:
            _tell_kills(report, kills(standing, argv))
    if with_target:
        report.targets()


def _options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apps", type=int, default=100, help="sleeping apps")
    parser.add_argument("--rounds", type=int, default=3, help="of starting, restarting and removing them")
    parser.add_argument("--peer-rounds", type=int, default=1, help="the same for the others; 0: without them")
    parser.add_argument("--idle", type=float, default=20, help="seconds of rest; CPU is measured in their second half")
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    return parser.parse_args()


def _contenders(folder, stack, options):
    """Those that are there, with their apps declared; and by title why others are not."""
    kinds = [Rookery]
    if options.peer_rounds and options.apps <= MOST_FOR_PEERS:
        kinds += [Supervisord, Pm2]
    contenders, absent = [], {}
    for kind in kinds:
        place = os.path.join(folder, kind.title)
        os.mkdir(place)
        try:
            contender = kind(place)
        except peers.Missing as missing:
            absent[kind.title] = str(missing)
            continue
        stack.callback(contender.close)
        contender.declare(options.apps)
        contenders.append(contender)
    return contenders, absent


def _lives(contenders, options, absent):
    """(Title, phase): seconds of each round. Who fails is out, and in absent."""
    took = {}
    for number in range(options.rounds):
        for contender in contenders:
            rounds = options.rounds if contender.title == OURS else options.peer_rounds
            if number >= rounds or contender.title in absent:
                continue

            def note(phase, seconds, title=contender.title):
                took.setdefault((title, phase), []).append(seconds)

            try:
                life(contender, options.apps, note, is_first=number == 0)
            except Failed as failed:
                absent[contender.title] = str(failed)
    return took


def _tell_life(report, took, titles, absent, apps, *, with_target):
    found = {key: median(seconds) for key, seconds in took.items()}
    rows = [[phase, *(_cell(found.get((title, phase)), title, absent) for title in titles)] for phase in PHASES]
    report.table(f"{apps} apps: starting and stopping", ["", *titles], rows)
    for title, why in absent.items():
        report.remark(f"{title}: {why}")
    for phase, limit in TARGETS.items() if with_target else ():
        report.target(f"{phase}, seconds", found.get((OURS, phase)), limit, digits=2)


def _tell_lists(report, found, titles, absent, *, with_target):
    bare = found["", "python -c pass"]
    commands = ("list", "list --json")
    rows = [[name, *(_cell(found.get((title, name)), title, absent) for title in titles)] for name in commands]
    rows.append(["python -c pass", milliseconds(bare), *[""] * (len(titles) - 1)])
    report.table("Listing them (supervisorctl status, pm2 list and jlist)", ["", *titles], rows)
    for name in commands if with_target else ():
        known = found.get((OURS, name))
        limit = (2 * bare + 0.015) * 1000
        report.target(f"{name}, ms (2 x python -c pass + 15)", known and known * 1000, limit, digits=1)


def _tell_idle(report, found, options, *, with_target):
    rows = []
    for title, rest in found.items():
        roles = {role: (rest.memory[role], rest.cpu[role]) for role in rest.memory}
        total = sum(rest.memory.values()), sum(rest.cpu.values())
        rows += [[f"{title}: {role}", *_figures(*figures)] for role, figures in roles.items() if len(roles) > 1]
        rows.append([title, *_figures(*total)])
        if title == OURS and with_target:
            report.target("memory, MB (PSS)", total[0] / MEGABYTE, 65, digits=1)
            report.target("idle CPU, % of a core", total[1], 0.5, digits=2)
    report.table(f"At rest, {options.apps} apps, {options.idle:g} s after their start", ["", "PSS", "CPU"], rows)


def _figures(memory, cpu):
    return shown(memory / MEGABYTE, " MB", 1), shown(cpu, " %", 2)


def _tell_kills(report, found):
    rows = [[title, *(milliseconds(part) for part in (median(took), max(took)))] for title, took in found.items()]
    report.table(
        "kill -9 of a stable app until the next one runs its first instruction", ["", "median", "slowest"], rows
    )
    report.target("a killed app is back, ms", median(found[OURS]) * 1000, 10, digits=1)


def _cell(seconds, title, absent):
    return (peers.gist(absent[title]) if title in absent else NOTHING) if seconds is None else milliseconds(seconds)


if __name__ == "__main__":
    main()
