from __future__ import annotations

import msgspec
import pytest

from rookery.config.compare import Change, Known, compare, masked, shown
from rookery.config.spec import AppSpec, BackoffSpec, LogSpec, MaxRestarts

FILE = "/srv/rook.toml"


def spec(name="web", **changed):
    return AppSpec(**{"name": name, "command": ("/bin/run", "x"), "cwd": "/srv", "origin": FILE, **changed})


def known(one, instances=1, down=0, **changed):
    return Known({**msgspec.to_builtins(one), **changed}, instances, down)


def only(wanted, old, **options):
    (found,) = compare([wanted], {wanted.name: old}, **options)
    return found


@pytest.mark.parametrize(
    ("changed", "changes"),
    [
        ({}, []),
        ({"command": ("/bin/run", "y")}, [("command", ["/bin/run", "x"], ["/bin/run", "y"])]),
        ({"graceful_timeout": 5.0}, [("graceful_timeout", 10.0, 5.0)]),
        ({"env": {"A": "1"}}, [("env.A", None, "1")]),
        ({"backoff": BackoffSpec(cap=60.0)}, [("backoff.cap", 30.0, 60.0)]),
        (
            {"max_restarts": MaxRestarts(count=3)},
            [("max_restarts.count", None, 3), ("max_restarts.window", None, 60.0)],
        ),
        ({"user": "nobody"}, [("user", None, "nobody")]),
        ({"logs": LogSpec(keep=1), "umask": 0o77}, [("umask", 18, 63), ("logs.keep", 7, 1)]),
    ],
)
def test_changed_keys(changed, changes):
    found = only(spec(**changed), known(spec()))
    assert found.kind == ("changed" if changes else "unchanged")
    assert [tuple(change) for change in found.changes] == changes
    # and the other way round
    back = only(spec(), known(spec(**changed)))
    assert [(change.key, change.new, change.old) for change in back.changes] == sorted(
        changes, key=lambda one: [change.key for change in back.changes].index(one[0])
    )


def test_a_removed_variable_is_a_change():
    found = only(spec(env={"B": "2"}), known(spec(env={"A": "1", "B": "2"})))
    assert found.changes == (Change("env.A", "1", None),)


@pytest.mark.parametrize(
    ("instances", "old", "kind"),
    [
        (2, {"instances": 2}, "unchanged"),
        (3, {"instances": 2}, "scaled"),
        (1, {"instances": 2}, "scaled"),
        (2, {"instances": 2, "down": 1}, "down"),
        (3, {"instances": 2, "down": 1}, "scaled"),
    ],
)
def test_numbers(instances, old, kind):
    found = only(spec(instances=instances), known(spec(), **old))
    assert (found.kind, found.before, found.after) == (kind, old["instances"], instances)


def test_new_and_left_and_of_no_concern():
    old = {
        "gone": known(spec("gone")),
        "by hand": known(spec("by hand", origin="")),
        "other": known(spec("other", origin="/other.toml")),
        "web": known(spec()),
    }
    found = compare([spec("new", instances=2), spec()], old, [FILE])
    assert [(one.name, one.kind) for one in found] == [("new", "new"), ("web", "unchanged"), ("gone", "left")]
    assert [one.name for one in compare([spec()], old)] == ["web"]  # some apps of a file: nothing is said of the rest


def test_an_app_of_another_file_is_taken_over():
    assert only(spec(), known(spec(origin="/old.toml"))).elsewhere == "/old.toml"
    assert only(spec(), known(spec(origin=""))).elsewhere == ""
    assert only(spec(), known(spec())).elsewhere == ""


def test_keys_that_an_older_or_newer_manager_knows():
    old = known(spec())
    older = Known({key: value for key, value in old.spec.items() if key not in ("stdin", "logs")}, 1)
    assert only(spec(), older).kind == "unchanged"
    assert only(spec(stdin="pipe"), older).changes == (Change("stdin", "null", "pipe"),)
    assert only(spec(), known(spec(), shiny=True)).changes == (Change("shiny", True, None),)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (Change("env.API_TOKEN", "a", "b"), ("***", "***")),
        (Change("env.API_TOKEN", None, "b"), (None, "***")),
        (Change("env.LEVEL", "a", "b"), ("a", "b")),
        (Change("env.DB_URL", "pg://me:pw@h/x", None), ("pg://me:***@h/x", None)),
        (Change("user", "TOKEN", "x"), ("TOKEN", "x")),
    ],
)
def test_secrets_are_masked(change, shown):
    assert masked(change) == (change.key, *shown)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("graceful_timeout", 90.0, "1m30s"),
        ("backoff.base", 0.1, "100ms"),
        ("limits.cpu_time", 3600, "1h"),
        ("logs.max_size", 10 * 2**20, "10.0M"),
        ("umask", 0o22, "022"),
        ("logs.keep", 7, "7"),
        ("user", None, "none"),
        ("command", ["a", "b c"], "a b c"),
        ("ok_exit_codes", [0, 143], "0 143"),
        ("backoff.jitter", False, "false"),
        ("nothing.known", 1, "1"),
    ],
)
def test_values_as_people_write_them(key, value, text):
    assert shown(key, value) == text
