"""Other servers, each with the way of reloading that its manual names, and set as it recommends for that."""

import functools
import os

import peers
import proc
from cluster_server import Server
from pm2 import Pm2
from programs import HERE

ASGI, WSGI = "cluster_apps:asgi", "cluster_apps:wsgi"
QUIET = ["--log-level", "warning"]
THREADS = "32"
"""Of a WSGI worker: slow requests wait in threads."""


class PythonServer(Server):
    def _launch(self):
        argv = [os.path.join(peers.servers(), self.program), *map(str, self.words())]
        self._spawn(argv, {"PYTHONPATH": HERE})


class Uvicorn(PythonServer):
    """HUP: each worker in turn."""

    program = "uvicorn"

    def words(self):
        return [ASGI, "--workers", self.count, "--port", self.port, "--no-access-log", *QUIET]


class GunicornAsgi(PythonServer):
    """HUP: new workers, then the end of the old ones."""

    program = "gunicorn"

    def words(self):
        kind = ["-k", "uvicorn_worker.UvicornWorker", ASGI]
        return ["-w", self.count, "-b", f"127.0.0.1:{self.port}", *QUIET, *kind]


class GunicornWsgi(PythonServer):
    program = "gunicorn"

    def words(self):
        return ["-w", self.count, "-b", f"127.0.0.1:{self.port}", *QUIET, "-k", "gthread", "--threads", THREADS, WSGI]


class Granian(PythonServer):
    """HUP."""

    program = "granian"

    def words(self):
        return ["--interface", "asgi", "--workers", self.count, "--port", self.port, *QUIET, ASGI]


class Hypercorn(PythonServer):
    """HUP: the end of the old ones, then new ones. Two cores are too few for it and the rate of the others."""

    program = "hypercorn"
    most = 1000

    def words(self):
        return ["-w", self.count, "-b", f"127.0.0.1:{self.port}", "-k", "uvloop", "--backlog", "2048", *QUIET, ASGI]


class NodeCluster(Server):
    """A primary of our own, which rolls at HUP. is_net: its workers close each connection at once."""

    def __init__(self, title, folder, *, workers, is_net=False):
        super().__init__(title, folder, workers=workers)
        self._is_net = is_net

    def start(self):
        if not self._is_net:
            super().start()
            return
        self._launch()
        self._wait_for(lambda: len(self.workers()) >= self.count, "its workers")

    def _launch(self):
        environ = {"PORT": str(self.port), "WORKERS": str(self.count), "GRACEFUL": "1"}
        if self._is_net:
            environ["NET"] = "1"
        self._spawn([peers.node(), os.path.join(HERE, "cluster_primary.js")], environ)


class Pm2Cluster(Server):
    """reload of an app in cluster mode. is_graceful: the app says when it is ready, and closes at SIGINT."""

    def __init__(self, title, folder, *, workers, is_graceful=True):
        super().__init__(title, folder, workers=workers)
        self._pm2 = Pm2(self.folder)
        self._is_graceful = is_graceful

    @property
    def pid(self):
        return self._pm2.pids()["daemon"]

    def start(self):
        self._pm2.environ["PORT"] = str(self.port)
        settings = {"exec_mode": "cluster", "instances": self.count, "vizion": False}
        if self._is_graceful:
            self._pm2.environ["GRACEFUL"] = "1"
            settings |= {"wait_ready": True, "listen_timeout": 10_000, "kill_timeout": 5000}
        script = os.path.join(HERE, "cluster_app.js")
        path = self._pm2.write("cluster", [{"name": "cluster", "script": script, **settings}])
        self._pm2.pm2("start", path)
        super().start()

    def _launch(self):
        pass

    def workers(self):
        return proc.descendants(self.pid)

    def _ask_to_reload(self):
        self._pm2.pm2("reload", "cluster")

    def last_words(self):
        return "see pm2 logs"

    def close(self):
        self._pm2.close()


PEERS = {
    "uvicorn --workers": Uvicorn,
    "gunicorn, uvicorn worker": GunicornAsgi,
    "gunicorn, WSGI": GunicornWsgi,
    "granian": Granian,
    "hypercorn": Hypercorn,
    "node:cluster": NodeCluster,
    "PM2 reload": Pm2Cluster,
    "PM2 reload, plain app": functools.partial(Pm2Cluster, is_graceful=False),
}
