"""The main job, shown: apps in two languages kept alive by a manager that may die.

Run by `make demo`. It works in a home and a folder of its own, and ends everything it started unless KEEP=1.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOK = os.path.join(os.path.dirname(sys.executable), "rook")
KEEP = os.environ.get("KEEP") == "1"
PATIENCE = 10.0


def say(text):
    print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


def rook(*args, show=True, check=True):
    """Run a rook command as a person would, and show it."""
    if show:
        print(f"$ rook {' '.join(args)}", flush=True)
    done = subprocess.run([ROOK, *args], text=True, stdout=None if show else subprocess.PIPE, check=False)
    if check and done.returncode:
        raise SystemExit(f"rook {' '.join(args)} ended with {done.returncode}")
    return done.stdout


def instances():
    rows = json.loads(rook("list", "--json", show=False))
    return {row["name"] if row["index"] == 0 else f"{row['name']}:{row['index']}": row for row in rows}


def web_pids():
    return {name: row["pid"] for name, row in instances().items() if name.startswith("web-")}


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            found = condition()
            if found:
                return found
        time.sleep(0.05)
    raise SystemExit(f"{what} did not happen within {PATIENCE:g} s")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
        return answer.read().decode().strip()


class Load(threading.Thread):
    """Asks every app again and again, and counts what fails."""

    def __init__(self, ports):
        super().__init__()
        self.ports, self.requests, self.failures, self.stop = ports, 0, [], threading.Event()

    def run(self):
        while not self.stop.wait(0.002):
            for port in self.ports:
                self.requests += 1
                try:
                    get(port)
                except OSError as error:
                    self.failures.append(error)


def prepare(folder):
    """A copy of the apps with ports that are free here; without Node its app is left out."""
    names = ["web-py"]
    text = open(os.path.join(HERE, "rook.toml")).read()
    for name in ("web.py", "web.js", "worker.py"):
        shutil.copy(os.path.join(HERE, name), folder)
    ports = {"web-py": free_port(), "web-node": free_port()}
    text = text.replace(":8301", f":{ports['web-py']}").replace('"8302"', f'"{ports["web-node"]}"')
    if shutil.which("node"):
        names.append("web-node")
    else:
        before, _, rest = text.partition("[apps.web-node]")
        text = before + rest[rest.index("[apps.worker]") :]
        print("(node is not installed here: the Node app is left out)")
    with open(os.path.join(folder, "rook.toml"), "w") as file:
        file.write(text)
    return {name: ports[name] for name in names}


def show(folder):
    ports = prepare(folder)

    say("start the apps of one file; the manager starts by itself")
    rook("start", os.path.join(folder, "rook.toml"), check=False)  # the worker may well crash in its first second
    for port in ports.values():
        wait_for(lambda port=port: get(port), "an answer")
        print(get(port))
    rook("list")

    say("kill -9 one of them: it is back at once")
    victim = instances()["web-py"]["pid"]
    print(f"$ kill -9 {victim}")
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: (instances()["web-py"]["pid"] or victim) != victim, "the restart")
    wait_for(lambda: get(ports["web-py"]), "an answer")
    rook("list", "web-py")

    say("kill -9 the manager while requests are running: the apps do not notice")
    before = web_pids()
    manager = json.loads(rook("ping", "--json", show=False))["pid"]
    load = Load(ports.values())
    load.start()
    wait_for(lambda: load.requests > 200, "some load")
    print(f"$ kill -9 {manager}")
    killed = time.monotonic()
    os.kill(manager, signal.SIGKILL)
    again = wait_for(lambda: json.loads(rook("ping", "--json", show=False)), "the next manager")
    back = time.monotonic() - killed
    sent = load.requests
    wait_for(lambda: load.requests > sent + 200, "more load")
    after = web_pids()
    print(f"manager {manager} is dead, manager {again['pid']} answers {back * 1000:.0f} ms later")
    same = "unchanged" if before == after else "CHANGED"
    print(f"{load.requests} requests meanwhile, {len(load.failures)} failed; pids {same}")
    if load.failures or before != after or again["pid"] == manager:
        raise SystemExit(f"that is not as it should be: {load.failures[:3]} {before} {after}")

    say("new code for the Python app under the same load: the next manager replaces one worker after the other")
    sent = load.requests
    rook("reload", "web-py")
    load.stop.set()
    load.join()
    after = web_pids()
    new = [name for name in before if after[name] != before[name]]
    print(f"{load.requests - sent} requests meanwhile, {len(load.failures)} failed; new pids: {', '.join(new)}")
    if load.failures or new != ["web-py", "web-py:1"]:
        raise SystemExit(f"that is not as it should be: {load.failures[:3]} {before} {after}")

    say("the logs, the newest lines of each app")
    rook("logs", "-n", "3")

    say("the worker crashes now and then; its last words are kept")
    wait_for(lambda: instances()["worker"]["restarts"] > 0, "a crash of the worker")
    rook("show", "worker")


def main():
    began = time.monotonic()
    home = tempfile.mkdtemp(prefix="rookery-demo-")
    os.environ["ROOKERY_HOME"] = os.path.join(home, "home")
    folder = os.path.join(home, "apps")
    os.mkdir(folder)
    try:
        show(folder)
    finally:
        if KEEP:
            say("everything is left running (KEEP=1); look around with")
            print(f"export ROOKERY_HOME={os.environ['ROOKERY_HOME']} PATH={os.path.dirname(ROOK)}:$PATH")
        else:
            with contextlib.suppress(BrokenPipeError):  # who reads this may have left: everything ends all the same
                say("stop everything")
                print("$ rook kill", flush=True)
            subprocess.run([ROOK, "kill"], check=False)
            shutil.rmtree(home, ignore_errors=True)
    say(f"done in {time.monotonic() - began:.0f} s; to look further")
    print("make demo KEEP=1        leave it running, then: rook list, rook logs -f, rook show web-py, rook restart all")
    print("rook start YOUR_APP     keep one of your own alive; rook --help tells the rest")


if __name__ == "__main__":
    main()
