"""Load on a server that answers with its pid."""

from __future__ import annotations

import http.client
import threading

from capabilities import DEADLINE
from rookery.testing import wait_until


class Load(threading.Thread):
    """Asks a server again and again on fresh connections; keeps what was answered and what failed."""

    def __init__(self, port):
        super().__init__()
        self.port, self.count, self.pids, self.failures = port, 0, set(), []
        self._over = threading.Event()

    def run(self):
        while not self._over.wait(0.005):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/")
                self.pids.add(int(connection.getresponse().read()))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            finally:
                connection.close()
            self.count += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join()


def port_of(path):
    return wait_until(lambda: path.exists() and int(path.read_text()), DEADLINE, f"a port in {path}")
