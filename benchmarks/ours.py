"""rookery in a home of its own."""

import compileall
import json
import os
import sys

import proc
from programs import CHECKOUT
from running import Failed, end, run

ROOK = os.environ.get("ROOK") or os.path.join(os.path.dirname(sys.executable), "rook")
compileall.compile_dir(os.path.join(CHECKOUT, "src"), quiet=2)  # an installed package is compiled too


class Rookery:
    """The command, and the pids of what runs behind it. folder: must be there; the home is made in it."""

    title = "rookery"

    def __init__(self, folder):
        self.folder = folder
        self.home = os.path.join(folder, "rookery")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ROOKERY_")}
        self.environ = {**kept, "ROOKERY_HOME": self.home}

    def command(self, *words):
        return [ROOK, *words]

    def rook(self, *words):
        """Run ``rook``; seconds and output. Raises Failed."""
        return run(self.command(*words), self.environ)

    def pids(self):
        """By role."""
        ping = json.loads(self.rook("ping", "--json")[1])
        return {"manager": ping["pid"], "keeper": ping["keeper_pid"], "collector": ping["collector_pid"]}

    def write(self, name, text):
        """A file in the folder; its path."""
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def log(self, app):
        return os.path.join(self.home, "logs", f"{app}-0.out.log")

    def close(self):
        try:
            pids = self.pids().values()
        except Failed:  # nothing runs
            return
        self.rook("kill")
        end([pid for pid in pids if pid and proc.is_alive(pid)])


def table(name, command, **settings):
    """An app of rook.toml. The texts and lists of Python are those of TOML here."""
    lines = [f"[apps.{name}]", f"command = {json.dumps(command)}"]
    for key, value in settings.items():
        shown = json.dumps(value) if not isinstance(value, dict) else inline(value)
        lines.append(f"{key} = {shown}")
    return "\n".join(lines) + "\n"


def inline(values):
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) + " }"
