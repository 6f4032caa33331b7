"""Who moves an app's output into a file: each is told to start the app, says where the file is, and forgets it."""

import os
import signal
import subprocess

import pm2
import supervisord
from ours import Rookery, table

KEEP = 200
"""Rotated files: enough for everything that is written."""


class PlainFile:
    """The shell's redirection: nobody between app and disk."""

    def __init__(self, folder):
        self.log = os.path.join(folder, "plain.log")
        self._app = None

    def start(self, argv):
        self._app = subprocess.Popen(["sh", "-c", 'exec "$@" >"$0"', self.log, *argv])

    def forget(self):
        self._app.send_signal(signal.SIGKILL)
        self._app.wait()

    def pids(self):
        return {}


class Ours:
    """An app with these settings under ``logs``."""

    def __init__(self, rookery: Rookery, name, **settings):
        self._rookery, self._name = rookery, name
        self._settings = {"keep": KEEP, **settings}
        self.log = rookery.log(name)

    def start(self, argv):
        text = table(self._name, argv, restart="never", logs=self._settings)
        path = self._rookery.write(f"{self._name}.toml", text)
        self._rookery.rook("start", path, "--wait", "started")

    def forget(self):
        self._rookery.rook("delete", self._name)

    def pids(self):
        return self._rookery.pids()


class Supervisor:
    """One daemon for all rounds; the program is in its configuration."""

    def __init__(self, daemon: supervisord.Supervisord, name, argv):
        self._daemon, self._name = daemon, name
        self.log = os.path.join(daemon.folder, f"{name}.log")
        settings = {
            "autostart": "false", "autorestart": "false",
            "stdout_logfile": self.log, "stdout_logfile_maxbytes": "10MB", "stdout_logfile_backups": KEEP,
        }  # fmt: skip
        daemon.start(supervisord.section(name, argv, **settings))

    def start(self, _argv):
        self._daemon.ctl("start", self._name)

    def forget(self):
        self._daemon.ctl("stop", self._name)

    def pids(self):
        return self._daemon.pids()


class Pm2:
    """An app with these settings of the ecosystem file. Without rotation: that is a module of its own there."""

    def __init__(self, daemon: pm2.Pm2, name, **settings):
        self._daemon, self._name = daemon, name
        self._settings = settings
        self.log = os.path.join(daemon.folder, f"{name}.pm2.log")

    def start(self, argv):
        files = {"out_file": self.log, "error_file": os.devnull, "merge_logs": True}
        app = pm2.entry(self._name, argv, autorestart=False, **files, **self._settings)
        self._daemon.pm2("start", self._daemon.write(self._name, [app]))

    def forget(self):
        self._daemon.pm2("delete", self._name)

    def pids(self):
        return self._daemon.pids()
