"""Workers on one port: what reloads and killed workers cost clients, and what a cluster costs. A quarter of an hour.

    python benchmarks/cluster.py [--quick] [--parts reloads,rates,kills] [--only rookery granian] [--markdown]

rookery's cluster beside uvicorn, gunicorn, granian, hypercorn, node:cluster and PM2. They serve the same application
(cluster_apps.py, cluster_app.js), each with two workers; a strict client (c/cluster_client.c) counts everything that
is not the right answer in time. Needs a C compiler. Ends what it started. --quick: two minutes, --reloads 5: seven.
"""

import argparse
import functools
import os
import sys
import tempfile

import peers
from cluster_kills import kill_at_random
from cluster_load import LATE, SHARES
from cluster_ours import Ours, why_not
from cluster_peers import PEERS, NodeCluster, Uvicorn
from cluster_rates import HELD, rates, running, split
from cluster_reloads import roll
from report import Report, median, milliseconds, shown
from running import Failed

PARTS = ("reloads", "rates", "kills")
WORKERS = 2
OURS = "rookery"
SPREAD = 4
"""Workers between which connections are split."""
ROLLED = [
    *((kind, balance) for kind in ("ASGI", "WSGI", "Node") for balance in ("shared", "hash")),
    ("ASGI", "round_robin"), ("ASGI", "least_connections"), ("ASGI (asyncio, h11)", "shared"),
]  # fmt: skip
QUICK = [("ASGI", "shared"), ("WSGI", "hash"), ("Node", "shared"), ("ASGI", "round_robin")]
BALANCES = ("shared", "hash", "round_robin", "least_connections")
KILLED = ("shared", "hash", "round_robin")
KILLED_PEERS = ("uvicorn --workers", "gunicorn, uvicorn worker", "node:cluster")
DISTANCE = 2.0
"""Seconds between two kills."""


def main():
    options = _options()
    report = Report(markdown=options.markdown)
    report.machine(["workers of each", str(WORKERS)], ["requests a second", f"{options.rate:,}"])
    report.remark("Load: " + ", ".join(f"{name} {share:.1%}" for name, _, _, share in SHARES) + ".")
    try:
        missing = why_not()
    except peers.Missing as why:
        sys.exit(f"the servers are not here: {why}")
    if missing:
        report.remark(f"rookery's cluster is not there: {missing}")
    for part in options.parts:
        {"reloads": _reloads, "rates": _rates, "kills": _kills}[part](report, options, is_there=not missing)
    if not missing:
        report.targets()


def _options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = {"type": lambda text: text.split(",")}
    parser.add_argument("--quick", action="store_true", help="5 reloads, 3 rounds, 15 s of kills, the nearest peers")
    parser.add_argument("--parts", default=PARTS, help="of " + ", ".join(PARTS), **words)
    parser.add_argument("--only", nargs="+", help="those whose name has one of these in it")
    parser.add_argument("--rate", type=int, default=3000, help="requests a second while workers are replaced or killed")
    parser.add_argument("--reloads", type=int, help="of ours: 20, quick 5; of the others: 5, quick 3")
    parser.add_argument("--limit", type=float, default=90, help="seconds for the reloads of one server")
    parser.add_argument("--rounds", type=int, help="of rates: 9, quick 3")
    parser.add_argument("--kill-seconds", type=float, help="60, quick 15; half a minute or less for all but the first")
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    options.peer_reloads = options.reloads or (3 if options.quick else 5)
    options.reloads = options.reloads or (5 if options.quick else 20)
    options.rounds = options.rounds or (3 if options.quick else 9)
    options.kill_seconds = options.kill_seconds or (15 if options.quick else 60)
    return options


def _contenders(options, ours, others, *, is_there):
    """(Title, maker) of those wanted; a maker takes the folder and the number of workers."""
    found = [(_title(*each), functools.partial(Ours, *each)) for each in ours if is_there]
    found += [(title, functools.partial(PEERS[title], title)) for title in others]
    return [each for each in found if not options.only or any(word in each[0] for word in options.only)]


def _title(kind, balance):
    return f"{OURS} {kind}, {balance}"


def _each(report, contenders, act):
    """What act says of each of them, by title; of those that fail it is said why. One runs at a time."""
    found = {}
    for title, maker in contenders:
        print(f"{title} ...", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="rook-bench-") as folder:
            try:
                server = maker(os.path.join(folder, "it"), workers=WORKERS)
                try:
                    server.start()
                    found[title] = act(server)
                finally:
                    server.close()
            except (Failed, OSError, peers.Missing) as failed:
                report.remark(f"{title}: {failed}")
    return found


def _reloads(report, options, *, is_there):
    def act(server):
        reloads = options.reloads if server.title.startswith(OURS) else options.peer_reloads
        rate = min(options.rate, server.most or options.rate)
        return roll(server, reloads=reloads, rate=rate, limit=options.limit)

    others = ("gunicorn, uvicorn worker", "uvicorn --workers", "node:cluster") if options.quick else PEERS
    contenders = _contenders(options, QUICK if options.quick else ROLLED, others, is_there=is_there)
    found = _each(report, contenders, act)
    rows = []
    for title, rolled in found.items():
        result = rolled.result
        rows.append([
            title, len(rolled.took), f"{result.requests:,}", _kinds(result.kinds), result.stale,
            *map(milliseconds, (result.p50, result.p99, result.max)), shown(median(rolled.took), " s", 2),
        ])  # fmt: skip
    header = ["", "reloads", "requests", "hard failures", "stale", "p50", "p99", "latest", "a reload"]
    report.table(f"Rolling reloads under load; an answer after {LATE:g} s is a failure", header, rows)
    for title, rolled in found.items():
        if rolled.why:
            report.remark(f"{title}, after {len(rolled.took)} reloads: {rolled.why}")
    for title, _ in contenders:
        if title.startswith(OURS):
            rolled = found.get(title)
            is_whole = rolled and len(rolled.took) >= options.reloads
            wrong = rolled.result.hard + rolled.result.stale if is_whole else None
            report.target(f"{title}: failed and stale in {options.reloads} reloads", wrong, 0)


def _kinds(kinds):
    if not kinds:
        return "0"
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda each: -each[1]))
    return f"{sum(kinds.values())} ({parts})"


def _rates(report, options, *, is_there):
    seconds = 0.7 if options.quick else 1.0
    for act in (_throughput, _accepting):
        try:
            act(report, options, seconds, is_there=is_there)
        except (Failed, OSError, peers.Missing) as failed:
            report.remark(f"{act.__name__[1:]}: {failed}")
    _splitting(report, is_there=is_there)


class _Rounds:
    """Results of rounds, by title and way."""

    def __init__(self):
        self._found = {}

    def noter(self, how):
        def note(title, number, result, cpu):
            self._found.setdefault((title, how), {})[number] = (result, cpu)

        return note

    def rate(self, title, how):
        return median([result.rate for result, _ in self._found.get((title, how), {}).values()])

    def cpu(self, title, how, *, of_parents=False):
        """Microseconds of the workers, or of all other processes, for each request."""
        each = self._found.get((title, how), {}).values()
        return median([cpu[of_parents] / (result.rate * result.seconds) * 1e6 for result, cpu in each if result.rate])

    def ratio(self, title, other, how):
        """The median of the rounds' own."""
        one, two = (self._found.get((name, how), {}) for name in (title, other))
        return median([one[number][0].rate / two[number][0].rate for number in one if number in two])

    def failed(self, title):
        return sum(result.hard + result.stale for (name, _), rounds in self._found.items() if name == title
                   for result, _ in rounds.values())  # fmt: skip


def _throughput(report, options, seconds, *, is_there):
    bare, ours = "uvicorn --workers", [_title("ASGI", balance) for balance in BALANCES]
    makers = [functools.partial(Uvicorn, bare)]
    makers += [functools.partial(Ours, "ASGI", balance) for balance in BALANCES if is_there]
    rounds = _Rounds()
    with running(makers, workers=WORKERS) as servers:
        for how in ("keep", "fresh"):
            # Only the first two are compared in every round; the others are shown.
            rates(servers[:2], how, rounds=options.rounds, seconds=seconds, note=rounds.noter(how))
            rates(servers[2:], how, rounds=min(3, options.rounds), seconds=seconds, note=rounds.noter(how))
    rows = []
    for title in [bare, *(ours if is_there else [])]:
        cells = []
        for how in ("keep", "fresh"):
            cells += [shown(rounds.rate(title, how), " /s"), shown(rounds.ratio(title, bare, how), " x", 2)]
            cells.append(shown(rounds.cpu(title, how), " us", 1))
        rows.append([title, *cells, rounds.failed(title)])
    header = ["", "keep-alive", "of uvicorn", "CPU", "a connection each", "of uvicorn", "CPU", "failed"]
    report.table(
        "As much as two workers take, and their CPU for a request (medians; ratios are medians of the rounds' own)",
        header,
        rows,
    )
    if is_there:
        for how, what in (("keep", "keep-alive"), ("fresh", "a connection each")):
            ratio = rounds.ratio(ours[0], bare, how)
            report.target(f"throughput, {what}, of bare uvicorn", ratio, 0.95, unit=" x", digits=2, at_least=True)


def _accepting(report, options, seconds, *, is_there):
    node, ours = "node:cluster, SCHED_RR", _title("close", "round_robin")
    makers = [functools.partial(NodeCluster, node, is_net=True)]
    makers += [functools.partial(Ours, "close", "round_robin")] if is_there else []
    rounds = _Rounds()
    with running(makers, workers=WORKERS) as servers:
        rates(servers, "accepts", rounds=options.rounds, seconds=seconds, note=rounds.noter("accepts"))
    rows = [
        [title, shown(rounds.rate(title, "accepts"), " /s"),
         shown(rounds.cpu(title, "accepts", of_parents=True), " us", 1), rounds.failed(title)]
        for title in [node, *([ours] if is_there else [])]
    ]  # fmt: skip
    header = ["", "connections", "CPU of the parents for each", "failed"]
    report.table("Connections that the worker closes at once, given out in turn", header, rows)
    if is_there:
        ratio = rounds.ratio(ours, node, "accepts")
        report.target("round_robin, accepts, of SCHED_RR", ratio, 1, unit=" x", digits=2, at_least=True)
        cost, limit = (rounds.cpu(title, "accepts", of_parents=True) for title in (ours, node))
        report.target("round_robin, CPU of the parents for each, us", cost, limit or 0, digits=1)


def _splitting(report, *, is_there):
    contenders = [(_title("ASGI", balance), functools.partial(Ours, "ASGI", balance)) for balance in BALANCES]
    contenders = contenders if is_there else []
    contenders += [(title, functools.partial(PEERS[title], title)) for title in ("uvicorn --workers", "node:cluster")]
    rows, found = [], {}
    for title, maker in contenders:
        try:
            with running([maker], workers=SPREAD) as (server,):
                found[title] = split(server)
                rows.append([title, *found[title]])
        except (Failed, OSError, peers.Missing) as failed:
            report.remark(f"{title}: {failed}")
    header = ["", "most - fewest", "half of them made anew"]
    report.table(f"{HELD:,} connections, {SPREAD} workers", header, rows)
    if is_there:
        for balance in ("round_robin", "least_connections"):
            spread = found.get(_title("ASGI", balance), (None,))[0]
            report.target(f"{balance}, {HELD:,} connections, most - fewest", spread, 1)


def _kills(report, options, *, is_there):
    first = _title("ASGI", KILLED[0])

    def act(server):
        seconds = options.kill_seconds if server.title == first else min(options.kill_seconds, 15)
        return kill_at_random(server, seconds=seconds, rate=options.rate, distance=DISTANCE)

    ours = [("ASGI", balance) for balance in KILLED[: 1 if options.quick else None]]
    contenders = _contenders(options, ours, () if options.quick else KILLED_PEERS, is_there=is_there)
    found = _each(report, contenders, act)
    rows = []
    for title, killed in found.items():
        result = killed.result
        rows.append([
            title, len(killed.kills), f"{result.requests:,}", killed.in_flight, killed.most, killed.others,
            _kinds(result.kinds), result.stale, *map(milliseconds, (result.p99, result.max)),
        ])  # fmt: skip
    header = ["", "killed", "requests", "lost with their worker", "by one kill", "lost otherwise", "hard failures",
              "stale", "p99", "latest"]  # fmt: skip
    report.table(f"kill -9 of a worker at random, one each {DISTANCE:g} s", header, rows)
    for title, _ in contenders:
        if title.startswith(OURS):
            killed = found.get(title)
            report.target(f"{title}: requests lost otherwise", killed and killed.others, 0)


if __name__ == "__main__":
    main()
