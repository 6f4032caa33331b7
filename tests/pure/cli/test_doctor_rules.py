"""Each rule of rook doctor: facts in, findings out."""

from __future__ import annotations

import json

import pytest
from fake_manager import problem, row

from rookery import __version__
from rookery.cli.commands.doctor import lines
from rookery.cli.doctor import machine_rules, rules
from rookery.cli.doctor.facts import Facts, Finding, Limits, Stray
from rookery.cli.doctor.gather import has_unbuffered_option

GB = 2**30
PING = {"pid": 7, "keeper_pid": 6, "collector_pid": 8, "version": "1.0", "uptime": 60.0}


def detail(name="web", number=0, *, memory=100, cpu=1.0, pid=100, generation=1, logs=None, **app):
    where = f"/l/{name}-{number}"
    return {
        "row": row(number, name=name, index=number, memory=memory, cpu=cpu, pid=pid),
        "app": {"logs": logs or {"max_size": 10, "keep": 1}, **app},
        "generation": generation,
        "tree": [{"pid": pid, "ppid": 1, "command": "x", "memory": 7, "cpu": None}],
        "log_out": f"{where}.out.log",
        "log_err": f"{where}.err.log",
    }


def several(number, name="web", **options):
    return [detail(name, index, **options) for index in range(number)]


def found(rule, **facts):
    """Level and text of what a rule finds."""
    return [(one.level, one.what) for one in rule(Facts(**{"ping": PING, "version": "1.0", **facts}))]


def levels(rule, **facts):
    return [level for level, _ in found(rule, **facts)]


@pytest.mark.parametrize(
    ("facts", "level", "text"),
    [
        ({}, "ok", "it runs for 1m, version 1.0"),
        ({"ping": None}, "ok", "no manager runs, and nothing is to run"),
        ({"ping": None, "has_apps": True}, "note", "no manager runs, though apps are known"),
        ({"ping": None, "silence": "no access"}, "error", "the manager does not answer"),
        ({"version": "2.0"}, "warning", "the manager is of version 1.0, this command of 2.0"),
        ({"warning": "the state cannot be saved: full"}, "error", "the state cannot be saved: full"),
        ({"ping": {**PING, "collector_pid": None}}, "warning", "the manager has no log collector"),
    ],
)
def test_manager(facts, level, text):
    assert found(rules.manager, **facts) == [(level, text)]


@pytest.mark.parametrize(
    ("cpus", "details", "expected"),
    [
        (2.0, [], ["ok"]),
        (2.0, several(2), ["ok"]),
        (2.0, several(3), ["warning"]),
        (0.5, several(1), ["ok"]),  # one is never too many
        (0.5, several(2), ["warning"]),
        (1.5, several(2), ["warning"]),
        (2.0, several(3, pid=None), ["ok"]),  # they do not run
        (2.0, several(2) + several(2, "api"), ["note"]),
        (2.0, [detail(name) for name in "abcde"], ["ok"]),  # five different programs are no workers
        (2.0, several(3, "a") + several(4, "b"), ["warning", "warning"]),
        (2.0, several(2, cpu=95.0), ["warning"]),
        (4.0, several(2, cpu=95.0), ["ok"]),
        (2.0, several(2, cpu=None), ["ok"]),
    ],
)
def test_workers_against_cpus(cpus, details, expected):
    assert levels(rules.workers, cpus=cpus, details=details) == expected


def test_what_is_said_of_too_many_workers():
    (one,) = rules.workers(Facts(cpus=1.5, details=several(4)))
    assert one.what == "web has 4 instances, and there are 1.5 CPUs"
    assert one.hint


@pytest.mark.parametrize(
    ("memory", "details", "expected"),
    [
        (None, [], []),
        ((10 * GB, 5 * GB), [], ["ok"]),
        ((10 * GB, GB // 4), [], ["error"]),
        ((10 * GB, 2 * GB), [detail(memory=3 * GB)], ["warning"]),
        ((10 * GB, 4 * GB), [detail(memory=3 * GB)], ["ok"]),
        ((10 * GB, 4 * GB), several(2, memory=GB, max_memory=4 * GB), ["warning"]),
        ((10 * GB, 7 * GB), several(2, memory=GB, max_memory=4 * GB), ["ok"]),
        ((10 * GB, 4 * GB), [detail(memory=None, max_memory=None)], ["ok"]),
    ],
)
def test_memory(memory, details, expected):
    assert levels(rules.memory, memory=memory, details=details) == expected


def test_memory_of_what_was_not_sampled_yet_is_that_of_its_processes():
    assert found(rules.memory, memory=(10 * GB, 5 * GB), details=[detail(memory=None)]) == [
        ("ok", "5.0G are left; the apps use 7B")
    ]


@pytest.mark.parametrize(
    ("limits", "number", "expected"),
    [
        ([], 3, []),
        ([("keeper", 1, 1024, 1024, 100)], 3, ["ok"]),
        ([("keeper", 1, 100, 100, 50)], 9, ["ok"]),  # 4 * 9 + 64 = 100
        ([("keeper", 1, 99, 99, 50)], 9, ["warning"]),
        ([("keeper", 1, 1000, 1000, 901)], 1, ["error"]),
        ([("keeper", 1, 1000, 1000, 900)], 1, ["ok"]),
        ([("keeper", 1, 1000, 1000, None), ("collector", 2, 60, 60, None)], 1, ["warning"]),
    ],
)
def test_open_files(limits, number, expected):
    assert levels(rules.open_files, limits=[Limits(*one) for one in limits], details=several(number)) == expected


def test_workers_of_a_port_need_more_open_files():
    sharing = several(100)
    for one in sharing:
        one["row"]["bind"] = ":1"
    limits = [Limits("keeper", 1, 600, 600, None)]
    assert levels(rules.open_files, limits=limits, details=several(100)) == ["ok"]
    assert levels(rules.open_files, limits=limits, details=sharing) == ["warning"]


def test_unbuffered():
    assert levels(rules.unbuffered) == []
    assert levels(rules.unbuffered, details=[detail()]) == ["ok"]
    many = [(f"web:{number}", number) for number in (0, 0, 1, 2, 3, 4, 5)]
    (text,) = found(rules.unbuffered, details=[detail()], buffering=many)
    assert text == ("warning", "web:0, web:1, web:2, web:3, web:4 and 1 more: Python without PYTHONUNBUFFERED")


@pytest.mark.parametrize(
    ("words", "has"),
    [
        ([], False),
        (["app.py", "-u"], False),
        (["-u", "app.py"], True),
        (["-Bu", "app.py"], True),
        (["-B", "-u", "app.py"], True),
        (["-m", "pkg", "-u"], False),
        (["-c", "print()", "-u"], False),
        (["-mu"], False),
        (["-W", "ignore", "app.py"], False),
        (["--help"], False),
    ],
)
def test_the_option_u_of_python(words, has):
    assert has_unbuffered_option(words) is has


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"home_problem": "no right"}, ["error"]),
        ({"disk": None}, []),
        ({"disk": (10 * GB, 5 * GB)}, ["ok"]),
        ({"disk": (10 * GB, GB // 20)}, ["error"]),
        ({"disk": (10000, 500), "details": several(12)}, ["ok"]),  # 24 files of 10 * 2
        ({"disk": (10000, 470), "details": several(12)}, ["warning"]),
        ({"disk": (10000, 470), "details": several(12), "log_bytes": 100}, ["ok"]),
        ({"disk": (10000, 470), "details": several(12, logs={"via": "stdout", "max_size": 10, "keep": 9})}, ["ok"]),
    ],
)
def test_logs(facts, expected):
    assert levels(rules.logs, **facts) == expected


def test_a_combined_log_counts_once_per_app():
    logs = {"max_size": 10, "keep": 1, "combined": True}
    found_logs = found(rules.logs, disk=(10000, 470), details=several(2, logs=logs))
    assert found_logs == [("ok", "they may grow by 100B, 470B are free")]


def test_instances_that_share_a_log_count_once():
    shared = [{**one, "log_out": "/l/all", "log_err": "/l/all"} for one in several(12)]
    assert found(rules.logs, disk=(10000, 470), details=shared) == [("ok", "they may grow by 20B, 470B are free")]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, []),
        ({"has_systemd": True, "ping": None}, []),
        ({"has_systemd": True, "ping": None, "has_apps": True}, ["warning"]),
        ({"has_systemd": True}, ["warning"]),
        ({"has_systemd": True, "units": ["/etc/systemd/system/rookery.service"]}, ["ok"]),
    ],
)
def test_boot(facts, expected):
    assert levels(machine_rules.boot, **facts) == expected


UNIT = ["/etc/systemd/system/rookery.service"]
USER = "/user.slice/user-1000.slice"


@pytest.mark.parametrize(
    ("cgroup", "facts", "expected"),
    [
        (None, {}, []),
        ("/system.slice/rookery.service", {"units": UNIT}, ["the manager depends on no login"]),
        ("/system.slice/cron.service", {"units": UNIT}, ["the manager depends on cron.service"]),
        ("/init.scope", {}, ["the manager depends on no login"]),
        (f"{USER}/session-3.scope", {"is_root": True}, ["the manager may end when you log out"]),
        (
            f"{USER}/session-3.scope",
            {},
            ["the manager may end when you log out", "the manager may end with your last login"],
        ),
        (f"{USER}/session-3.scope", {"lingers": True}, ["the manager may end when you log out"]),
        (
            f"{USER}/user@1000.service/app.slice/rookery.service",
            {"units": UNIT, "lingers": True},
            ["the manager depends on no login"],
        ),
        (
            f"{USER}/user@1000.service/app.slice/rookery.service",
            {"units": UNIT},
            ["the manager may end with your last login"],
        ),
        (f"{USER}/user@1000.service/app.slice/run-7.scope", {"lingers": True}, ["the manager depends on run-7.scope"]),
    ],
)
def test_session(cgroup, facts, expected):
    assert [text for _, text in found(machine_rules.session, has_systemd=True, cgroup=cgroup, **facts)] == expected


def test_session_is_no_matter_without_systemd_or_manager():
    assert found(machine_rules.session, cgroup=f"{USER}/session-3.scope") == []
    assert found(machine_rules.session, cgroup=f"{USER}/session-3.scope", has_systemd=True, ping=None) == []


@pytest.mark.parametrize(
    ("strays", "facts", "expected"),
    [
        ([], {}, "ok"),
        ([(5, "sleep", "0", 1)], {"details": [detail(number=0, generation=1)]}, "ok"),
        ([(5, "sleep", "0", 1)], {"details": [detail(number=0, generation=2)]}, "warning"),
        ([(5, "sleep", "0", 1)], {"details": [detail(number=0, pid=None)]}, "warning"),
        ([(5, "sleep", "9", 1)], {"details": [detail(number=0)]}, "warning"),
        ([(5, "sleep", "0", 1)], {"ping": None}, "warning"),
    ],
)
def test_orphans(strays, facts, expected):
    assert levels(rules.orphans, strays=[Stray(*one) for one in strays], **facts) == [expected]


def test_orphans_are_named():
    (one,) = rules.orphans(Facts(ping=PING, strays=[Stray(5, "sleep 1", "0", 1), Stray(6, "cat", "0", 1)]))
    assert one.what == "2 processes of apps without an owner: 5 (sleep 1), 6 (cat)"
    assert "ps -fp 5,6" in one.hint


def test_kernel_features():
    assert found(machine_rules.features, features={"pidfd": True, "subreaper": True}) == [
        ("ok", "it has pidfd, subreaper")
    ]
    assert found(machine_rules.features, features={"pidfd": False, "shiny": False}) == [
        ("note", "this kernel has no pidfd"),
        ("note", "this kernel has no shiny"),
    ]
    (one, _) = machine_rules.features(Facts(features={"pidfd": False, "shiny": False}))
    assert "thread" in one.why
    assert found(machine_rules.features) == []


def test_a_finding_as_it_is_printed():
    assert lines(Finding("logs", "warning", "too\x1b[1m much", "because", "less")) == [
        "warning  logs        too much",
        "                     because",
        "                     hint: less",
    ]
    assert lines(Finding("logs", "ok", "fine"), colour=True) == ["\x1b[32mok     \x1b[0m  logs        fine"]


def test_doctor_without_a_manager(rook, home):
    ran = rook("doctor")
    assert ran.code == 0
    assert "no manager runs, and nothing is to run" in ran.out
    found = json.loads(rook("doctor", "--json").out)
    assert {"rule", "level", "what", "why", "hint"} == set(found[0])


def test_an_error_gives_1(rook, manager):
    with open(f"{manager.home}/scope", "w") as file:
        file.write("00000000")
    pong = {**PING, "version": __version__}
    manager.answers["GET", "/v1/ping"] = 200, pong
    manager.answers["GET", "/v1/details"] = 200, []
    assert rook("doctor").code == 0
    body = b"[]"
    head = b"HTTP/1.1 200 OK\r\nrookery-warning: the state cannot be saved\r\ncontent-length: 2\r\n\r\n"
    manager.answers["GET", "/v1/details"] = None
    manager.raw = [[_plain(pong)], [head + body]]
    ran = rook("doctor")
    assert ran.code == 1
    assert "error    manager     the state cannot be saved" in ran.out


def _plain(value):
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def test_a_silent_manager_is_an_error(rook, manager):
    manager.answers["GET", "/v1/ping"] = problem(500, "a defect")
    ran = rook("doctor")
    assert ran.code == 1
    assert "the manager does not answer\n                     a defect" in ran.out


def test_wrong_usage(rook):
    assert rook("doctor", "web").code == 2
