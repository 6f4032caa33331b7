import errno
import os

import pytest

from rookery import errors
from rookery.process.lookup import candidates, exists, explain, find, near_matches, search_path


@pytest.fixture
def folder(tmp_path):
    for name, mode in {"good": 0o755, "plain": 0o644}.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/nonexistent/interpreter\n")
        path.chmod(mode)
    return tmp_path


@pytest.fixture
def env(folder):
    return {"PATH": f"/nowhere::{folder}/bin"}


def test_path_without_its_empty_parts(env, folder):
    assert search_path(env) == ["/nowhere", f"{folder}/bin"]
    assert "/usr/bin" in search_path({})


def test_a_slash_means_that_path_alone(env, folder):
    assert candidates("bin/good", env) == ["bin/good"]
    assert candidates("good", env) == ["/nowhere/good", f"{folder}/bin/good"]


@pytest.mark.parametrize(
    ("program", "found", "there"),
    [
        ("good", "{}/bin/good", True),
        ("plain", None, True),
        ("missing", None, False),
        ("bin/good", "bin/good", True),
        ("./bin/plain", None, True),
        ("bin", None, False),
        ("./bin", None, True),  # a folder
    ],
)
def test_what_is_found_seen_from_the_working_directory(env, folder, program, found, there):
    assert find(program, env, str(folder)) == (found and found.format(folder))
    assert exists(program, env, str(folder)) is there


def test_near_matches_of_a_name_and_of_a_path(env, folder):
    assert near_matches("godo", env) == ["good"]
    assert near_matches(f"{folder}/bin/plian", {}) == ["plain"]
    assert near_matches("/nowhere/at/all", env) == []


@pytest.mark.parametrize(
    ("number", "program", "cwd", "stage", "error", "says"),
    [
        (errno.ENOENT, "godo", None, "exec", errors.CommandNotFound, "no such command"),
        (errno.ENOTDIR, "/etc/passwd/x", None, "exec", errors.CommandNotFound, "no such command"),
        (errno.ENOENT, "good", None, "exec", errors.CommandNotExecutable, "names an interpreter"),
        (errno.EACCES, "plain", None, "exec", errors.CommandNotExecutable, "may not be executed"),
        (errno.ENOEXEC, "good", None, "exec", errors.CommandNotExecutable, "no program"),
        (errno.ENOENT, "good", "/nowhere", "exec", errors.DirectoryMissing, "cannot work in '/nowhere'"),
        (errno.EACCES, "good", "/", "chdir", errors.DirectoryMissing, "cannot work in '/'"),
        (errno.EPERM, "good", None, "user", errors.UserUnknown, "may not become"),
        (errno.EAGAIN, "good", None, "fork", errors.ResourcesExhausted, "no more resources"),
        (errno.EMFILE, "good", "/nowhere", "fork", errors.ResourcesExhausted, "no more resources"),
        (errno.E2BIG, "good", None, "exec", errors.SpawnError, "too long"),
        (errno.EIO, "good", None, "exec", errors.SpawnError, os.strerror(errno.EIO)),
    ],
)
def test_each_error_number_is_explained(env, number, program, cwd, stage, error, says):
    raised = explain(number, [program, "x"], stage=stage, env=env, cwd=cwd)
    assert type(raised) is error
    assert says in str(raised)
    assert program in str(raised)
    assert (raised.argv, raised.cwd) == ((program, "x"), cwd)
    assert raised.errno == (errno.ENOENT if error is errors.CommandNotFound else number)


def test_the_error_names_similar_commands(env):
    raised = explain(errno.ENOENT, ["godo"], stage="exec", env=env, cwd=None)
    assert raised.near == ("good",)
    assert raised.hint == "did you mean good?"
