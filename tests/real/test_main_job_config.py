"""A wrong rook.toml: file, line, key and the nearest right one are named, and nothing is started."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.real

WRONG = {
    "unknown key": ('[apps.web]\nscript = "web.py"\ninstance = 2\n', 3, "instance", "instances"),
    "wrong type": ('[apps.web]\nscript = "web.py"\ninstances = "many"\n', 3, "apps.web.instances", ""),
    "bad unit": ('[apps.web]\nscript = "web.py"\ngraceful_timeout = "10 parsecs"\n', 3, "graceful_timeout", "10s"),
    "nested key": ('[apps.web]\nscript = "web.py"\n[apps.web.logs]\nmaxsize = 1\n', 4, "maxsize", "max_size"),
    "missing script": ('[apps.web]\nscript = "wbe.py"\n', 2, "script", "web.py"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named_and_nothing_is_started(rook, tmp_path, case):
    text, line, key, hint = WRONG[case]
    (tmp_path / "web.py").write_text("")
    (tmp_path / "rook.toml").write_text(text)
    ran = rook("start", "rook.toml")
    assert (ran.code, ran.out) == (2, "")
    assert f"rook.toml:{line}: " in ran.err
    assert key in ran.err
    assert hint in ran.err
    assert rook.ping() is None
    assert rook.processes() == {}
    assert not os.path.exists(os.path.join(rook.home, "run"))


def test_a_mistake_leaves_what_runs_alone(rook, tmp_path):
    (tmp_path / "rook.toml").write_text(f'[apps.web]\nscript = "{rook.programs}/idle.py"\n')
    rook.ok("start", "rook.toml", "--wait", "started")
    before = rook.rows()[0]["pid"]
    (tmp_path / "rook.toml").write_text('[apps.web]\nscript = "idle.py"\ninstances = 0\n')
    assert rook("start", "rook.toml").code == 2
    assert [row["pid"] for row in rook.rows()] == [before]
