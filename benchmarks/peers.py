"""PM2, supervisord, other pools: installed into .bench/ of the checkout at the first run, by pip and npm."""

import os
import shutil
import subprocess
import sys
import venv

from programs import KEPT

NOT_INSTALLED = "not installed"
NOT_MEASURED = "not measured"


class Missing(Exception):
    """A peer that cannot be measured here; the text says why."""


def gist(why):
    """A cell's text for somebody who is not in the table; the reason itself stands below."""
    return NOT_INSTALLED if why.startswith(NOT_INSTALLED) else NOT_MEASURED


def pm2():
    """The path of the ``pm2`` command. Raises Missing."""
    path = os.path.join(KEPT, "npm", "node_modules", ".bin", "pm2")
    if not shutil.which("node"):
        raise Missing(f"{NOT_INSTALLED} (no node)")
    if not os.path.exists(path):
        if not shutil.which("npm"):
            raise Missing(f"{NOT_INSTALLED} (no npm)")
        _install(["npm", "install", "--no-audit", "--no-fund", "--prefix", os.path.join(KEPT, "npm"), "pm2"])
    return path


def supervisor():
    """The folder with ``supervisord`` and ``supervisorctl``. Raises Missing."""
    folder = os.path.join(KEPT, "venv")
    programs = os.path.join(folder, "bin")
    if not os.path.exists(os.path.join(programs, "supervisord")):
        venv.create(folder, with_pip=True, clear=True)
        python = os.path.join(programs, "python")
        _install([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "supervisor"])
        subprocess.run([python, "-m", "compileall", "-q", folder], check=False, stdout=subprocess.DEVNULL)
    return programs


def pools():
    """A Python which has the other pools. Raises Missing."""
    folder = os.path.join(KEPT, "pools")
    python, done = os.path.join(folder, "bin", "python"), os.path.join(folder, "installed")
    if not os.path.exists(done):
        venv.create(folder, with_pip=True, clear=True)
        names = ["loky", "pebble", "mpire", "joblib", "anyio", "numpy", "cloudpickle", "msgspec"]
        _install([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *names])
        subprocess.run([python, "-m", "compileall", "-q", folder], check=False, stdout=subprocess.DEVNULL)
        with open(done, "wb"):
            pass
    return python


def servers():
    """The folder of the programs of other servers, with a Python that has them. Raises Missing."""
    folder = os.path.join(KEPT, "servers")
    programs, done = os.path.join(folder, "bin"), os.path.join(folder, "installed")
    if not os.path.exists(done):
        venv.create(folder, with_pip=True, clear=True)
        names = ["uvicorn", "uvloop", "httptools", "gunicorn", "uvicorn-worker", "granian", "hypercorn"]
        names += ["starlette", "msgspec", "cloudpickle", "a2wsgi"]
        python = os.path.join(programs, "python")
        _install([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *names])
        subprocess.run([python, "-m", "compileall", "-q", folder], check=False, stdout=subprocess.DEVNULL)
        with open(done, "wb"):
            pass
    return programs


def node():
    """The path of ``node``. Raises Missing."""
    path = shutil.which("node")
    if path is None:
        raise Missing(NOT_INSTALLED)
    return path


def node_pools():
    """The folder of Node's modules, with its pools. Raises Missing."""
    prefix = os.path.join(KEPT, "npm")
    modules = os.path.join(prefix, "node_modules")
    if not shutil.which("node"):
        raise Missing(f"{NOT_INSTALLED} (no node)")
    names = [name for name in ("piscina", "workerpool") if not os.path.exists(os.path.join(modules, name))]
    if names:
        if not shutil.which("npm"):
            raise Missing(f"{NOT_INSTALLED} (no npm)")
        _install(["npm", "install", "--no-audit", "--no-fund", "--prefix", prefix, *names])
    return modules


def _install(argv):
    print("installing:", " ".join(argv), file=sys.stderr)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise Missing(NOT_INSTALLED)
