"""PM2 in a home of its own."""

import json
import os

import peers
import proc
from running import end, run


class Pm2:
    """The command and its daemon. Raises peers.Missing. folder: as for Rookery."""

    title = "PM2"

    def __init__(self, folder):
        self._program = peers.pm2()
        self.folder = folder
        self.home = os.path.join(folder, "pm2")
        self.environ = {**os.environ, "PM2_HOME": self.home, "PM2_DISABLE_VERSION_CHECK": "true"}

    def command(self, *words):
        return [self._program, *words]

    def pm2(self, *words):
        return run(self.command(*words), self.environ)

    def pids(self):
        with open(os.path.join(self.home, "pm2.pid"), encoding="ascii") as file:
            return {"daemon": int(file.read())}

    def write(self, name, apps):
        """An ecosystem file; its path."""
        path = os.path.join(self.folder, f"{name}.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"apps": apps}, file)
        return path

    def close(self):
        if os.path.exists(os.path.join(self.home, "pm2.pid")):
            pids = [pid for pid in self.pids().values() if proc.is_alive(pid)]
            self.pm2("kill")
            end(pids)


def entry(name, command, **settings):
    """An app of an ecosystem file. vizion, which looks for git beside every app, is off."""
    program, *args = command
    return {"name": name, "script": program, "args": args, "interpreter": "none", "vizion": False, **settings}
