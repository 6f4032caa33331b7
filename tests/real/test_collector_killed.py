"""Rotation at full speed with the collector killed in between: every line once, whole, in each writer's order."""

import itertools
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from collector_harness import DEADLINE, chain, expected, wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

KILLS = 10
ROTATIONS = 20
UNITS = ("1", "2", "3", "4")


def run(collector, units, lines, *, kills, size, **settings):
    """Writers at full speed into one file; what is in it at the end, oldest first."""
    path = collector.folder / "all.log"
    total = sum(len(expected(unit, lines)) for unit in units)

    def open_all():
        for unit in units:
            collector.open(unit, path, max_size=size or total // (ROTATIONS + 2), keep=999, **settings)

    open_all()
    writers = [collector.write(unit, lines, block=997) for unit in units]
    for _ in range(kills):
        collector.wait_for_output(writers[-1])
        assert collector.end(signal.SIGKILL) == -signal.SIGKILL
        collector.start()
        open_all()
    assert [writer.wait(DEADLINE * 3) for writer in writers] == [0] * len(writers)
    for unit in units:
        collector.flush(unit)
    files = chain(path)
    assert len(files) > ROTATIONS
    assert all(content.endswith(b"\n") for content in files)
    return b"".join(files)


@pytest.mark.parametrize("kills", [0, KILLS])
def test_one_writer(collector, kills):
    assert run(collector, UNITS[:1], 1_500_000, kills=kills, size=0) == expected("1", 1_500_000)


@pytest.mark.parametrize("kills", [0, KILLS])
def test_four_writers_of_one_file(collector, kills):
    lines = run(collector, UNITS, 300_000, kills=kills, size=0).splitlines(keepends=True)
    for unit in UNITS:
        assert b"".join(line for line in lines if line.startswith(unit.encode())) == expected(unit, 300_000)
    assert len(lines) == 4 * 300_000


@pytest.mark.parametrize("units", [UNITS[:1], UNITS])
def test_stamped_lines_may_repeat_the_chunk_in_hand(collector, units):
    """A kill between write and taking repeats at most one chunk; a line torn by it is there again, whole."""
    lines = 300_000 // len(units)
    settings = {"format": {"timestamps": "iso", "prefix": "p | "}}
    data = run(collector, units, lines, kills=KILLS, size=1_000_000, **settings)
    whole = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d p \| ((\d) (\d+) \.*)\n")
    seen = {unit: [] for unit in units}
    torn = 0
    for line in data.splitlines(keepends=True):
        match = whole.fullmatch(line)
        if match and match[1] + b"\n" == b"%s %d %s\n" % (match[2], int(match[3]), b"." * (int(match[3]) % 90)):
            seen[match[2].decode()].append(int(match[3]))
        else:
            torn += 1
    repeats = 0
    for numbers in seen.values():
        assert sorted(set(numbers)) == list(range(lines))
        backwards = [(a, b) for a, b in itertools.pairwise(numbers) if b <= a]
        repeats += len(backwards)
        assert all(a - b < 64 * 1024 / 20 for a, b in backwards)
    assert repeats <= KILLS
    assert torn <= KILLS


def test_tail_follows_by_name_and_sees_each_line_once(collector, tmp_path):
    """tail opens the new file when it has seen the old one renamed, so the writer waits for it at each rotation."""
    path, seen = tmp_path / "1.log", tmp_path / "seen"
    collector.open("1", path, max_size=100_000)
    path.touch()
    with seen.open("wb") as output:
        tail = subprocess.Popen(
            ["tail", "-n", "+1", "-s", "0.02", "-F", path], stdout=output, stderr=subprocess.DEVNULL
        )
    try:
        for part in range(ROTATIONS * 2):
            data = b"".join(b"%d %d %s\n" % (part, n, b"." * 90) for n in range(600))
            os.write(collector.fifo("1"), data)
            wait_until(lambda part=part: seen.read_bytes().endswith(b"%d 599 %s\n" % (part, b"." * 90)), "tail")
    finally:
        tail.kill()
        tail.wait()
    collector.flush("1")
    files = chain(path)
    assert len(files) > ROTATIONS
    assert seen.read_bytes() == b"".join(files)
    assert Path(path).exists()
