"""rookery's own cluster, in the Python of the other servers and through its public class."""

import json
import os
import select
import subprocess
import time

import peers
import proc
from cluster_server import PATIENCE, Server
from programs import CHECKOUT, HERE
from running import Failed

KINDS = {
    "ASGI": {"app": "cluster_apps:asgi", "kind": "asgi"},
    "ASGI (asyncio, h11)": {"app": "cluster_apps:asgi", "kind": "asgi"},
    "WSGI": {"app": "cluster_apps:wsgi", "kind": "wsgi"},
    "Node": {"app": "cluster_app.js", "kind": "node"},
    "close": {"app": "cluster_apps:close", "kind": "connection"},
}
UVICORN = {"access_log": False, "log_level": "warning"}
PLAIN = {"loop": "asyncio", "http": "h11"}
"""What is there without uvloop and httptools."""
ENVIRON = {"PYTHONPATH": f"{os.path.join(CHECKOUT, 'src')}:{HERE}"}


def why_not():
    """The text of why there is nothing to measure, or None. Raises peers.Missing."""
    argv = [os.path.join(peers.servers(), "python"), "-c", "from rookery.cluster.cluster import Cluster"]
    tried = subprocess.run(argv, env={**os.environ, **ENVIRON}, capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else tried.stderr.strip().splitlines()[-1]


class Ours(Server):
    """kind: of KINDS. balance: the cluster's word."""

    def __init__(self, kind, balance, folder, *, workers):
        super().__init__(f"rookery {kind}, {balance}", folder, workers=workers)
        self.kind, self.balance = kind, balance

    def start(self):
        self._launch()
        self._answer("addresses")

    def _launch(self):
        options = {**KINDS[self.kind], "bind": f"127.0.0.1:{self.port}", "workers": self.count, "balance": self.balance}
        options["cwd"] = HERE
        if self.kind == "Node":
            options["env"] = {"PORT": str(self.port)}
        elif self.kind != "close":
            options["options"] = {**UVICORN, **(PLAIN if "h11" in self.kind else {})}
        argv = [os.path.join(peers.servers(), "python"), os.path.join(HERE, "cluster_serve.py"), json.dumps(options)]
        self._spawn(argv, ENVIRON, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def workers(self):
        return set(self._command("workers"))

    def others(self):
        """The pids of all its processes that do not serve: parent, acceptor, guardian."""
        return {self.pid, *proc.descendants(self.pid)} - self.workers()

    def reload(self):
        old, began = self.workers(), time.monotonic()
        self._command("reload", "reloaded")
        self._wait_for(lambda: not any(map(proc.is_alive, old)), "the old workers' end")
        return time.monotonic() - began

    def _command(self, word, key=None):
        try:
            self._process.stdin.write(f"{word}\n".encode())
            self._process.stdin.flush()
        except OSError:
            raise Failed(f"it has ended: {self.last_words()}") from None
        return self._answer(key or word)

    def _answer(self, key):
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            raise Failed(f"no answer in {PATIENCE:g} s: {self.last_words()}")
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"it has ended: {self.last_words()}")
        said = json.loads(line)
        if key not in said:
            raise Failed(said.get("error", f"an odd answer: {said}"))
        return said[key]

    def _say_goodbye(self):
        self._process.stdin.close()

    def close(self):
        super().close()
        if self._process is not None:
            self._process.stdout.close()
