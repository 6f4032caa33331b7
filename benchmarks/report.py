"""Tables on the terminal or in Markdown, targets with pass or miss, and the machine all of it ran on."""

import os
import platform
import statistics
import subprocess
import sys

import peers

NOTHING = "-"


def median(values):
    return statistics.median(values) if values else None


def shown(value, unit="", digits=0):
    """A figure with its unit; what is missing is a dash, a text stays."""
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else f"{value:,.{digits}f}{unit}"


def milliseconds(seconds):
    if seconds is None or isinstance(seconds, str):
        return shown(seconds)
    return f"{seconds * 1000:,.1f} ms" if seconds < 0.1 else f"{seconds * 1000:,.0f} ms"


class Report:
    """What a benchmark has to say, printed as it comes."""

    def __init__(self, *, markdown):
        self._markdown = markdown
        self._targets = []

    def table(self, title, header, rows):
        rows = [[str(cell) for cell in row] for row in rows]
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        if self._markdown:
            print(f"\n### {title}\n")
            for row in [header, ["---", *["---:"] * (len(header) - 1)], *rows]:
                print("| " + " | ".join(row) + " |")
        else:
            print(f"\n{title}\n")
            for row in [header, ["-" * width for width in widths], *rows]:
                first, *others = [(cell, width) for cell, width in zip(row, widths, strict=True)]
                print("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip())
        sys.stdout.flush()

    def remark(self, text):
        print(f"\n{text}")

    def target(self, what, value, limit, *, unit="", digits=0, at_least=False):
        """value: None or a text where it could not be measured, which is a miss."""
        known = isinstance(value, int | float)
        passed = known and (value >= limit if at_least else value <= limit)
        sign = ">=" if at_least else "<="
        self._targets.append([
            what, f"{sign} {shown(limit, unit, digits)}", shown(value, unit, digits), "pass" if passed else "MISS",
        ])  # fmt: skip

    def targets(self):
        self.table("Targets", ["what", "target", "measured", ""], self._targets)

    def machine(self, *facts):
        rows = [["cores", str(os.cpu_count())], ["kernel", platform.release()], ["Python", platform.python_version()]]
        rows += [["node", _said(["node", "--version"])], ["PM2", _peer(_pm2)], ["supervisor", _peer(_supervisor)]]
        load = ", ".join(f"{part:.2f}" for part in os.getloadavg())
        rows += [["load before", load], *map(list, facts)]
        self.table("Machine", ["", "here"], rows)


def _said(argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return peers.NOT_INSTALLED
    return (done.stdout.strip().splitlines() or [NOTHING])[-1]


def _pm2():
    return _said(["node", "-p", f"require({os.path.join(peers.pm2(), '../../pm2/package.json')!r}).version"])


def _supervisor():
    return _said([os.path.join(peers.supervisor(), "supervisord"), "--version"])


def _peer(version):
    try:
        return version()
    except peers.Missing as missing:
        return str(missing)
