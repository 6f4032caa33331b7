"""The three process managers behind the same few verbs. Every verb that is timed returns seconds and raises Failed.

Apps are ``sleep``; stamped ones (app.c) write down when they were started.
"""

import os
import time

import ours
import pm2
import proc
import supervisord
from running import wait_for

SLEEP = "/bin/sleep"
LONG = "1000000"


def names(count):
    return [f"sleep{number:04d}" for number in range(count)]


class Rookery(ours.Rookery):
    parent = "keeper"

    def declare(self, apps):
        self._file = self.write("rook.toml", "".join(ours.table(name, [SLEEP, LONG]) for name in names(apps)))

    def cold(self):
        return self.warm()

    def warm(self):
        return self.rook("start", self._file, "--wait", "started", "--timeout", "120s")[0]

    def restart(self):
        return self.rook("restart", "all", "--wait", "started", "--timeout", "120s")[0]

    def restart_settled(self):
        return self.rook("restart", "all", "--timeout", "120s")[0]

    def clear(self):
        return self.rook("delete", "all", "--timeout", "120s")[0]

    def lists(self):
        return {
            "list": (self.command("list"), self.environ),
            "list --json": (self.command("list", "--json"), self.environ),
        }

    def stamp(self, commands):
        text = "".join(ours.table(name, command) for name, command in commands.items())
        self.rook("start", self.write("stamps.toml", text), "--wait", "started")


class Pm2(pm2.Pm2):
    parent = "daemon"

    def declare(self, apps):
        self._file = self.write("sleep", [pm2.entry(name, [SLEEP, LONG]) for name in names(apps)])

    def cold(self):
        return self.warm()

    def warm(self):
        return self.pm2("start", self._file)[0]

    def restart(self):
        return self.pm2("restart", "all")[0]

    def clear(self):
        return self.pm2("delete", "all")[0]

    def lists(self):
        return {"list": (self.command("list"), self.environ), "list --json": (self.command("jlist"), self.environ)}

    def stamp(self, commands):
        self.pm2("start", self.write("stamps", [pm2.entry(name, command) for name, command in commands.items()]))


class Supervisord(supervisord.Supervisord):
    """``clear`` stops: its programs leave only with their sections."""

    parent = "daemon"

    def declare(self, apps):
        self._apps = apps
        self._sections = "".join(supervisord.section(name, [SLEEP, LONG]) for name in names(apps))

    def cold(self):
        """It has no command that waits for all that it starts by itself."""
        began = time.monotonic()
        self.start(self._sections)
        wait_for(lambda: len(sleepers(self)) == self._apps, "its programs")
        return time.monotonic() - began

    def warm(self):
        return self.ctl("start", "all")[0]

    def restart(self):
        return self.ctl("restart", "all")[0]

    def clear(self):
        return self.ctl("stop", "all")[0]

    def lists(self):
        return {"list": (self.command("status"), None)}

    def stamp(self, commands):
        path = os.path.join(self.folder, "supervisord.conf")
        with open(path, "a", encoding="utf-8") as file:
            file.writelines(supervisord.section(name, command) for name, command in commands.items())
        self.ctl("update")


def sleepers(contender):
    """The pids of its apps."""
    return proc.children(contender.pids()[contender.parent], os.path.basename(SLEEP))
