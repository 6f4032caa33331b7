from __future__ import annotations

import json
import os

import pytest
from fake_manager import row

from rookery._os import kernel
from rookery.cli.process_tree import branches, drawn, percents, shortened


def process(pid, ppid, command="python app.py", cpu=None, memory=1024 * 1024):
    return {"pid": pid, "ppid": ppid, "command": command, "memory": memory, "cpu": cpu}


def detail(tree, **changed):
    return {"row": row(1, **changed), "tree": tree}


@pytest.mark.parametrize(
    ("processes", "lines"),
    [
        ([], []),
        ([process(5, 1), process(3, 5)], ["5  -  1.0M  python app.py", "3  -  1.0M  └─ python app.py"]),
        ([process(5, 6), process(6, 5)], []),  # cannot be, and must not hang
        ([process(5, 99)], ["5  -  1.0M  python app.py"]),
        (
            [process(5, 1, cpu=100.0), process(10, 5, "a", memory=10**9), process(11, 10, "b"), process(12, 5, "c")],
            [
                " 5  100.0%    1.0M  python app.py",
                "10       -  953.7M  ├─ a",
                "11       -    1.0M  │  └─ b",
                "12       -    1.0M  └─ c",
            ],
        ),
    ],
)
def test_drawn(processes, lines):
    assert drawn(processes) == lines


def test_a_command_is_cut_to_the_terminal_and_harmless():
    (line,) = drawn([process(5, 1, "x" * 100)], room=40)
    assert len(line) == 40
    assert line.endswith("x…")
    assert len(drawn([process(5, 1, "x" * 100)], room=10)[0]) == len("5  -  1.0M  ") + 20
    assert drawn([process(5, 1, "a\x1b[31m\nb")]) == ["5  -  1.0M  ab"]


@pytest.mark.parametrize(("room", "text"), [(None, "abcdef"), (6, "abcdef"), (5, "abcd…"), (1, "…"), (0, "…")])
def test_shortened(room, text):
    assert shortened("abcdef", room) == text


def test_every_process_stands_below_its_parent():
    processes = [process(number, number // 2) for number in range(1, 200)]
    order = [one["pid"] for one, _ in branches(processes)]
    assert sorted(order) == list(range(1, 200))
    assert all(order.index(pid // 2) < order.index(pid) for pid in range(2, 200))


def test_percent_of_one_core_for_those_that_lived_all_the_time():
    second = kernel.TICKS_PER_SECOND
    before = {(1, 10): 0, (2, 10): 5, (3, 10): 5}
    after = {(1, 10): second, (2, 11): 500, (4, 10): 7, (3, 10): 5}
    assert percents(before, after, 2.0) == {1: 50.0, 3: 0.0}


def test_tree(rook, manager):
    tree = [process(os.getpid(), 1), process(2**22 + 1, os.getpid(), "gone")]
    manager.answers["GET", "/v1/details"] = 200, [detail(tree), detail([], name="down", state="stopped", pid=None)]
    ran = rook("tree", "web", "down")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == "web:0  running, 2 processes, memory 2.0M"
    assert lines[1].split()[0] == str(os.getpid())
    assert lines[1].split()[1].endswith("%")
    assert lines[2].split() == [str(2**22 + 1), "-", "1.0M", "└─", "gone"]
    assert lines[3:] == ["down:0  stopped"]
    assert manager.asked[0].selectors == ["web", "down"]


def test_json(rook, manager):
    manager.answers["GET", "/v1/details"] = 200, [detail([process(os.getpid(), 1)])]
    (found,) = json.loads(rook("tree", "--json").out)
    assert {key: found[key] for key in ("id", "name", "index", "pid", "state")} == {
        "id": 1,
        "name": "web",
        "index": 0,
        "pid": 101,
        "state": "running",
    }
    assert found["tree"][0]["cpu"] >= 0.0
    (unwatched,) = json.loads(rook("tree", "--json", "--interval", "0").out)
    assert unwatched["tree"][0]["cpu"] is None


def test_no_manager(rook):
    assert rook("tree") == (0, "", "no apps; start one with: rook start app.py\n")
    assert rook("tree", "--json") == (0, "[]\n", "")
    assert rook("tree", "web").code == 3


@pytest.mark.parametrize(("argv", "code"), [(["--interval", "soon"], 2), (["--intervall", "1"], 2)])
def test_wrong_usage(rook, argv, code):
    assert rook("tree", *argv).code == code
