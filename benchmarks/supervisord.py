"""supervisord with a configuration and a socket of its own."""

import os
import subprocess

import peers
import proc
from running import end, run, wait_for

HEAD = """
[unix_http_server]
file = {folder}/supervisor.sock
[supervisord]
logfile = {folder}/supervisord.log
pidfile = {folder}/supervisord.pid
childlogdir = {folder}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://{folder}/supervisor.sock
"""


class Supervisord:
    """The daemon, a child of ours, and its command. Raises peers.Missing. folder: as for Rookery."""

    title = "supervisord"

    def __init__(self, folder):
        self._programs = peers.supervisor()
        self.folder = folder
        self._config = os.path.join(folder, "supervisord.conf")
        self._daemon = None

    def start(self, programs):
        """Run it with these sections of its configuration; what is autostarted need not be up yet."""
        with open(self._config, "w", encoding="utf-8") as file:
            file.write(HEAD.format(folder=self.folder) + programs)
        argv = [os.path.join(self._programs, "supervisord"), "-n", "-c", self._config]
        self._daemon = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        socket = os.path.join(self.folder, "supervisor.sock")
        wait_for(lambda: os.path.exists(socket), "supervisord's socket")

    def command(self, *words):
        return [os.path.join(self._programs, "supervisorctl"), "-c", self._config, *words]

    def ctl(self, *words):
        return run(self.command(*words))

    def pids(self):
        return {"daemon": self._daemon.pid} if self._daemon else {}

    def close(self):
        if self._daemon is not None and proc.is_alive(self._daemon.pid):
            self._daemon.terminate()
            try:
                self._daemon.wait(30)
            except subprocess.TimeoutExpired:
                end([self._daemon.pid])
        self._daemon = None


def section(name, command, **settings):
    """A program of its configuration; it counts as up at once (startsecs), as ``--wait started`` does with us."""
    lines = [f"[program:{name}]", f"command = {' '.join(command)}", "startsecs = 0"]
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in settings.items())]) + "\n"
