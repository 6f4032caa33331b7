"""Every command line in help, topics and README does what it says, in a folder that has what it names.

A line that ends with 0 needs no row here. Others have one, with the reason.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from capabilities import DEADLINE, needs_node
from rookery.cli import main, topics
from rookery.cli.overview import overview
from rookery.cli.parser import parser_of
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_node]

README = Path(__file__).parents[2] / "README.md"

ROOK_TOML = """
[defaults]
namespace = "shop"
min_uptime = "0s"
[apps.web]
script = "web.py"
instances = 2
[apps.web.env_profiles.production]
LOG_LEVEL = "warning"
[apps.worker]
command = ["./run", "--fast"]
instances = 2
[apps.console]
command = ["./run"]
stdin = "pipe"
[apps.shell]
command = ["./run"]
stdin = "pipe"
[apps.migrate]
command = ["/bin/true"]
restart = "never"
namespace = "jobs"
[apps.test-one]
command = ["./run"]
"""

SAYS = "#!/bin/sh\ntrap '' HUP USR1\necho said; echo 'timed out' >&2; exec sleep 1000\n"
PYTHON = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
print('said', flush=True)
signal.pause()
"""
JQ = f"""#!{sys.executable}
# Of jq only that it wants JSON, and says something for each value.
import json, sys
text = ""
for line in sys.stdin:
    text += line
    try:
        json.loads(text)
    except ValueError:
        continue
    print("said", flush=True)
    text = ""
sys.exit(text != "")
"""
FILES = {
    "rook.toml": ROOK_TOML,
    "app.py": PYTHON,
    "web.py": PYTHON,
    "job.py": "print('said')\n",
    "pkg/main.py": PYTHON,
    "server.js": "console.log('said'); require('http').createServer().listen(process.env.PORT ?? 0);\n",
    "shop/web.py": "async def app(scope, receive, send):\n    raise NotImplementedError\n",
    "prog": SAYS,
    "bin": SAYS,
    "run": SAYS,
    "broken.sh": "#!/bin/sh\necho 'cannot open config' >&2; exit 3\n",
    "x": "y\n",
    ".env": "A=1\n",
    "server/server.js": "",
    "server/rook.toml": "",
    ".local/share/bash-completion/completions/.keep": "",
    ".config/fish/completions/.keep": "",
    ".zfunc/.keep": "",
    "path/jq": JQ,
}

BEFORE = {
    "rook init": "rm rook.toml",
    "rook wait all --for stopped": "rook stop all",
    "rook wait migrate --for exited --timeout 10m": "rook start migrate",
    "rook start web worker": "rook stop web worker",
}
"""What a person has done before."""

CODES = {
    "rook --home /srv/rookery kill": ({4}, "no manager runs there"),
    "rook diff --exit-code": ({0, 1}, "1 where there are differences"),
    "rook doctor": ({0, 1}, "1 where something is wrong with this machine"),
    "rook start ./broken.sh": ({1}, "the program cannot be started"),
    "rook kill": ({0, 4}, "4 where an example before it has done so"),
    "rook kill --timeout 2m": ({0, 4}, "4 where an example before it has done so"),
}

ENDLESS = {
    "rook logs web -f": "follows until Ctrl-C",
    "rook logs app web -f": "follows until Ctrl-C",
    "rook events -f": "follows until Ctrl-C",
    "rook events -f --json | jq .reason": "follows until Ctrl-C",
    "rook up": "stays in the foreground",
    "rook up app.py": "stays in the foreground",
    "rook up rook.toml --only web": "stays in the foreground",
    "rook up -- ./bin --flag": "stays in the foreground",
}

ELSEWHERE = [
    (r":3000\b|:9000\b", ":0"),
    (r"(shop\.web:app)(?!.*--bind)", r"\1 --bind 127.0.0.1:0"),
]
"""Ports that somebody else on this machine may have."""

NOT_RUN = {
    "pip install -U rookery && rook upgrade": "installs from the network",
    "pip install .": "installs, into the environment of the tests",
    "make demo": "is a test of its own",
    "make test": "is what runs here",
}

WITHOUT_APPS = {"init", "check", "completion", "help", "up"}
"""Commands whose examples want no running apps."""


def command_of(line):
    """The line without what it says about itself: after two blanks, or after a #."""
    return re.split(r"\s{2,}|\s+# ", line.strip())[0]


def pages():
    for name in main.COMMANDS:
        yield f"rook {name}", [command_of(line) for line in parser_of(name, main.command(name)).examples]
    for name in topics.names():
        yield (
            f"topic {name}",
            [command_of(line) for line in topics.text(name).splitlines() if line.startswith("  rook ")],
        )
    lines = overview(main.COMMANDS, main.ALIASES).partition("Commands:")[0].splitlines()
    yield "overview", [command_of(line) for line in lines if line.startswith("  rook ")]
    lines = re.findall(r"(?m)^\$ (.*)$", README.read_text())
    yield "README", [command_of(line) for line in lines if not line.startswith("kill ")]


PAGES = dict(pages())
EVERY = [example for examples in PAGES.values() for example in examples]


@pytest.fixture
def folder(rook, tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if text.startswith("#!"):
            path.chmod(0o755)
    rook.environ["PATH"] = f"{tmp_path}/path:{rook.environ['PATH']}"
    return tmp_path


def started(line, rook, folder):
    for pattern, here in ELSEWHERE:
        line = re.sub(pattern, here, line)
    return subprocess.Popen(
        ["/bin/bash", "-c", line],
        cwd=folder,
        env=rook.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(line, rook, folder):
    with started(line, rook, folder) as process:
        try:
            out, _ = process.communicate(timeout=DEADLINE)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, out


def shows_something(line, rook, folder):
    with started(line, rook, folder) as process:
        try:
            assert "rook:" not in process.stdout.readline(), line
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.communicate(timeout=DEADLINE)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise


@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", PAGES)
def test_examples(page, rook, folder):
    if page.removeprefix("rook ") not in WITHOUT_APPS and page != "README":
        assert run("rook start rook.toml", rook, folder)[0] == 0
        running = [row for row in rook.rows() if row["name"] != "migrate"]
        wait_until(lambda: all(rook.log(row["name"], index=row["index"]) for row in running), DEADLINE, "what they say")
    done = []
    for example in PAGES[page]:
        if example in NOT_RUN:
            continue
        if example in BEFORE:
            assert run(BEFORE[example], rook, folder)[0] == 0
        if example in ENDLESS:
            shows_something(example, rook, folder)
            continue
        expected = CODES.get(example, ({0}, ""))[0]
        if page == "README" and done.count("rook start rook.toml") and example == "rook start rook.toml":
            text = (folder / "rook.toml").read_text()  # where a mistake is shown
            (folder / "rook.toml").write_text(f"{text}\n[apps.wrong]\ncommand = '/bin/true'\ninstance = 2\n")
            expected = {2}
        code, out = run(example, rook, folder)
        assert code in expected, f"{example}\nended with {code}:\n{out}"
        done.append(example)


def test_every_row_is_of_an_example():
    rows = {**BEFORE, **CODES, **ENDLESS, **NOT_RUN}
    assert sorted(set(rows) - set(EVERY)) == []


def test_help_and_readme_have_examples():
    assert all(PAGES.values())
    assert all(example.startswith("rook ") or example in NOT_RUN for example in EVERY)
