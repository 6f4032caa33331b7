from __future__ import annotations

import os
import shutil

import pytest

from rookery.config import system_values
from rookery.config.spec import AppSpec, BackoffSpec, LimitSpec, LogSpec, MaxRestarts
from rookery.config.toml import load_file
from rookery.errors import ConfigError, NothingMatched

EXAMPLE = os.path.join(os.path.dirname(__file__), "data", "rook.toml")


@pytest.fixture
def example(project):
    shutil.copy(EXAMPLE, project.folder)
    project.file("web.py")
    project.file(".env", "FROM_FILE=yes\nLOG_LEVEL=from-file\n")
    project.program("./.venv/bin/python")
    project.program("./bin/worker")
    return os.path.join(project.folder, "rook.toml")


def one(project, text, **options):
    """The only app of a file with this text."""
    (spec,) = load_file(project.file("rook.toml", text), environ=project.environ, **options)
    return spec


def test_the_big_example(project, example):
    web, worker = load_file(example, environ=project.environ)
    assert web == AppSpec(
        name="web",
        command=(f"{project.folder}/.venv/bin/python", f"{project.folder}/web.py", "--port", "8000"),
        cwd=project.folder,
        namespace="shop",
        instances=2,
        env={
            "PYTHONUNBUFFERED": "1",
            "REGION": "eu",
            "FROM_FILE": "yes",
            "LOG_LEVEL": "info",
            "WORKERS": "4",
            "RATIO": "0.5",
            "DEBUG": "false",
        },
        user="nobody",
        group="65534",
        umask=0o027,
        limits=LimitSpec(memory=1024**3, open_files=4096, processes=64, cpu_time=3600, core=0),
        restart="always",
        ok_exit_codes=(0, 143),
        restart_delay=0.25,
        backoff=BackoffSpec(base=0.1, factor=3.0, cap=60.0, jitter=False),
        max_restarts=MaxRestarts(count=10, window=120.0),
        min_uptime=2.0,
        stable_after=15.0,
        stop_signal="SIGINT",
        graceful_timeout=20.0,
        stop_scope="leader",
        stdin="null",
        logs=LogSpec(merge="streams", max_size=5 * 1024**2, keep=3, timestamps=True),
        origin=example,
    )
    assert worker == AppSpec(
        name="worker",
        command=(f"{project.folder}/bin/worker", "--fast"),
        cwd=project.folder,
        env={"REGION": "eu", "LOG_LEVEL": "debug"},
        restart="on-failure",
        graceful_timeout=20.0,
        logs=LogSpec(keep=3),
        origin=example,
    )


def test_an_app_with_one_key_has_the_defaults_of_appspec(project):
    program = project.program("server")
    spec = one(project, "[apps.web]\ncommand = 'server'")
    origin = f"{project.folder}/rook.toml"
    assert spec == AppSpec(name="web", command=(program,), cwd=project.folder, origin=origin)


def test_only_named_apps_in_the_order_of_the_file(project):
    project.program("run")
    path = project.file("rook.toml", "".join(f"[apps.{name}]\ncommand='run'\n" for name in "abc"))
    assert [spec.name for spec in load_file(path, only=["c", "a"], environ=project.environ)] == ["a", "c"]


def test_only_with_an_unknown_name_names_the_nearest(project):
    path = project.file("rook.toml", "[apps.web]\ncommand='run'\n")
    with pytest.raises(NothingMatched) as caught:
        load_file(path, only=["wbe"], environ=project.environ)
    assert caught.value.hint == "did you mean web?"


def test_an_app_that_is_not_wanted_may_lack_its_program(project):
    project.program("run")
    path = project.file("rook.toml", "[apps.a]\ncommand='run'\n[apps.b]\ncommand='gone'\n")
    assert len(load_file(path, only=["a"], environ=project.environ)) == 1


@pytest.mark.parametrize(
    ("profile", "level"), [(None, "info"), ("production", "warning")], ids=["without", "production"]
)
def test_a_profile_is_laid_over_env(project, example, profile, level):
    web, worker = load_file(example, profile=profile, environ=project.environ)
    assert web.env["LOG_LEVEL"] == level
    assert worker.env["LOG_LEVEL"] == "debug"


def test_an_unknown_profile_names_the_known_ones(project, example):
    with pytest.raises(ConfigError) as caught:
        load_file(example, profile="prodction", environ=project.environ)
    assert "'prodction'" in caught.value.problem
    assert caught.value.hint == "did you mean production? known profiles: production"


def test_environment_layers_from_the_bottom_up(project):
    project.program("run")
    project.file("base.env", "A=base\nB=base\nC=base\nD=base\nE=base\nF=base")
    project.file("app.env", "C=app-file\nD=app-file\nE=app-file\nF=app-file")
    spec = one(
        project,
        """
        [defaults]
        env_file = "base.env"
        env = { B = "defaults", C = "defaults", D = "defaults", E = "defaults", F = "defaults" }
        env_profiles.p = { E = "defaults-profile", F = "defaults-profile" }
        [apps.a]
        command = "run"
        env_file = "app.env"
        env = { D = "app", E = "app", F = "app" }
        env_profiles.p = { F = "profile" }
        """,
        profile="p",
    )
    assert spec.env == {
        "A": "base",
        "B": "defaults",
        "C": "app-file",
        "D": "app",
        "E": "defaults-profile",
        "F": "profile",
    }


@pytest.mark.parametrize(
    ("written", "cpus", "expected"),
    [
        ("3", 8, 3),
        ('"max"', 8, 8),
        ('"half"', 8, 4),
        ('"half"', 1, 1),
        ("-1", 8, 7),
        ("-1", 1, 1),
    ],
)
def test_instances(project, monkeypatch, written, cpus, expected):
    monkeypatch.setattr(system_values, "cpus", lambda: cpus)
    project.program("run")
    assert one(project, f"[apps.a]\ncommand='run'\ninstances={written}").instances == expected


@pytest.mark.parametrize(("machine", "whole"), [(3.0, 3), (2.5, 2), (0.5, 1)])
def test_cpus_are_those_of_the_affinity_and_the_quota(monkeypatch, machine, whole):
    monkeypatch.setattr("rookery._os.machine.cpus", lambda: machine)
    assert system_values.cpus() == whole


@pytest.mark.parametrize(
    ("line", "field", "expected"),
    [
        ("stop_signal = 'TERM'", "stop_signal", "SIGTERM"),
        ("stop_signal = 'SIGTERM'", "stop_signal", "SIGTERM"),
        ("stop_signal = 15", "stop_signal", "SIGTERM"),
        ("stop_signal = '2'", "stop_signal", "SIGINT"),
        ("umask = '022'", "umask", 0o022),
        ("umask = 0o077", "umask", 0o077),
        ("backoff = { base = 5, cap = 5 }", "backoff", BackoffSpec(base=5.0, cap=5.0)),
        ("max_restarts = 5", "max_restarts", MaxRestarts(count=5)),
        ("user = 1000", "user", "1000"),
        ("graceful_timeout = 0", "graceful_timeout", 0.0),
        ("min_uptime = '1m30s'", "min_uptime", 90.0),
        ("args = ['-p', 80, '']", "command", ("RUN", "-p", "80", "")),
    ],
)
def test_other_ways_to_write_a_value(project, line, field, expected):
    program = project.program("run")
    found = getattr(one(project, f"[apps.a]\ncommand='run'\n{line}"), field)
    assert found == (tuple(program if word == "RUN" else word for word in expected) if field == "command" else expected)


def test_cwd_and_script_and_interpreter_are_seen_from_their_own_places(project):
    script = project.file("sub/web.py")
    python = project.program("./env/bin/python")
    spec = one(project, "[apps.a]\ncwd='sub'\nscript='web.py'\ninterpreter='env/bin/python'")
    assert spec.cwd == f"{project.folder}/sub"
    assert spec.command == (python, script)


def test_a_tilde_is_the_callers_home(project):
    project.program("run")
    assert one(project, "[apps.a]\ncommand='run'\ncwd='~'").cwd == project.home


def test_a_module_runs_in_the_virtualenv_of_its_folder(project):
    python = project.program("./.venv/bin/python")
    spec = one(project, "[apps.a]\nmodule='pkg.main'\nargs=['-v']")
    assert spec.command == (python, "-m", "pkg.main", "-v")
    assert spec.env == {"PYTHONUNBUFFERED": "1"}


def test_unbuffered_output_is_the_users_choice(project):
    project.program("python3")
    spec = one(project, "[apps.a]\nmodule='pkg'\nenv={PYTHONUNBUFFERED=''}")
    assert spec.env == {"PYTHONUNBUFFERED": ""}


def test_commands_are_looked_for_on_the_path_of_the_app(project):
    other = project.program("./tools/run")
    spec = one(project, f"[apps.a]\ncommand=['run']\nenv.PATH='{project.folder}/tools'")
    assert spec.command == (other,)


def test_the_text_of_a_command_is_split_but_given_to_no_shell(project):
    program = project.program("run")
    assert one(project, """[apps.a]\ncommand = "run 'a b' \\"c|d\\" e" """).command == (program, "a b", "c|d", "e")
