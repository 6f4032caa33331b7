"""Bringing a manager to life, and knowing when that is wanted.

The caller starts the keeper, detached; the keeper starts the manager. Of two callers at once one keeper gets the lock
of the home, the other leaves with 75, and both callers wait for the same socket.
"""

from __future__ import annotations

import json
import os
import sys
import time

from rookery.control import places
from rookery.control.client import Client
from rookery.errors import ControlError, OperationFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from typing import Any

LOCK_TAKEN = 75
"""What a keeper leaves with when another one holds the lock (EX_TEMPFAIL)."""
_PAUSE = 0.01
_AGAIN = 0.2
"""Seconds after a lost lock until a keeper is tried again: the holder may have been on its way out."""
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PROGRAM = "import sys; sys.path.insert(0, {root!r}); from rookery.daemon.keeper.main import main; main()"
_PASSED_ON = frozenset((
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "ROOKERY_WITHOUT",
))  # fmt: skip


def reading_client(home: str) -> Client | None:
    """A client for a command that only looks; None where nothing runs and nothing should."""
    client = Client(home)
    if client.is_listening():
        return client
    return ensure_manager(home) if should_run(home) else None


def ensure_manager(home: str, *, timeout: float = 10.0) -> Client:
    """A client of a manager that answers; starts one where nothing listens. timeout: seconds.

    Raises OperationFailed with the last lines of manager.log where it does not come up.
    """
    client = Client(home)
    if client.is_listening():
        return client
    places.ensure_home(home)
    log_start = _size(places.manager_log(home))
    deadline = time.monotonic() + timeout
    keeper: subprocess.Popen[bytes] | None = _start_keeper(home)
    keeper_pid = None
    start_again = 0.0
    try:
        while (keeper_pid := _keeper_that_answers(client)) is None:
            now = time.monotonic()
            if keeper is None:
                if now >= start_again:
                    keeper = _start_keeper(home)
            elif (code := keeper.poll()) is not None:
                if code not in (0, LOCK_TAKEN):
                    raise _not_started(home, f"its keeper ended with {code}", log_start)
                keeper = None
                start_again = now + _AGAIN
            if now > deadline:
                raise _not_started(home, f"it did not answer within {timeout:g} s", log_start)
            time.sleep(_PAUSE)
    finally:
        if keeper is not None:
            _let_go(keeper, is_loser=keeper_pid not in (None, 0, keeper.pid))
    return client


def should_run(home: str) -> bool:
    """Whether the state says that apps of this boot should be running. False for a state that cannot be read."""
    from rookery._os import kernel  # noqa: PLC0415 - needed only where no manager runs

    state = _saved(home)
    if not state.get("boot_id") or state["boot_id"] != kernel.boot_id():
        return False
    return any(app.get("desired") == "running" and not app.get("held") for app in _apps(state))


def has_apps(home: str) -> bool:
    """Whether the state knows any app, running or not."""
    return bool(_apps(_saved(home)))


def saved_apps(home: str) -> list[tuple[dict[str, Any], int]]:
    """What the last manager has saved: the AppSpec of each app as JSON, and how many instances it has."""
    state = _saved(home)
    rows = state.get("instances")
    kept = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    owners = [row.get("app") for row in kept if row.get("pending") != "delete"]
    specs = [app["spec"] for app in _apps(state) if isinstance(app.get("spec"), dict)]
    return [(spec, owners.count(spec.get("name"))) for spec in specs]


def wait_until_gone(home: str, *, timeout: float) -> bool:
    """Wait until nobody holds the home's lock: keeper and manager have ended. False after timeout seconds."""
    import fcntl  # noqa: PLC0415 - only rook kill asks

    deadline = time.monotonic() + timeout
    try:
        lock = os.open(places.lock_file(home), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(_PAUSE)
            else:
                return True
    finally:
        os.close(lock)


def keeper_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the caller's environment the keeper gets: places, language and time zone, nothing that tells whose
    child it is (ROOKERY_UNIT, NOTIFY_SOCKET).
    """
    return {name: value for name, value in environ.items() if name in _PASSED_ON or name.startswith("LC_")}


def _start_keeper(home: str) -> subprocess.Popen[bytes]:
    import subprocess  # noqa: PLC0415 - 5 ms, paid only by the command that starts the manager

    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    log = os.open(places.manager_log(home), flags, 0o600)
    program = _PROGRAM.format(root=_ROOT)
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", program, "rookery-keeper", home],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd="/",
            env=keeper_environment(os.environ),
            close_fds=True,
            start_new_session=True,
        )
    finally:
        os.close(log)


def _let_go(keeper: subprocess.Popen[bytes], *, is_loser: bool) -> None:
    from subprocess import TimeoutExpired  # noqa: PLC0415

    try:
        # A loser that has not got as far as the lock is waited for: it must not find it free after a later kill.
        keeper.wait(1.0 if is_loser else 0.0)
    except TimeoutExpired:
        # It is meant to outlive us. Popen warns when it is dropped with its child running, unless it believes that
        # the status was taken.
        keeper.returncode = 0


def _keeper_that_answers(client: Client) -> int | None:
    """The pid of the manager's keeper (0: not told), or None while no manager answers."""
    if not client.is_listening():
        return None
    try:
        _, ping = client.request("GET", "/v1/ping", timeout=0.5)  # short, so that a keeper's death is seen soon
    except ControlError:
        return None
    return int(ping.get("keeper_pid") or 0)


def _not_started(home: str, why: str, log_start: int) -> OperationFailed:
    path = places.manager_log(home)
    try:
        with open(path, "rb") as file:
            file.seek(max(log_start, _size(path) - 4096))
            said = file.read().decode("utf-8", "replace").strip().splitlines()[-5:]
    except OSError:
        said = []
    return OperationFailed(
        "the manager did not start", why="\n  ".join([why, *said]), hint=f"look into {path}, or try again"
    )


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _saved(home: str) -> dict[str, Any]:
    try:
        with open(places.state_file(home), "rb") as file:
            state = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return state if isinstance(state, dict) else {}


def _apps(state: dict[str, Any]) -> list[dict[str, Any]]:
    apps = state.get("apps")
    return [app for app in apps if isinstance(app, dict)] if isinstance(apps, list) else []
