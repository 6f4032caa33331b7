"""Where a manager lives: its home, its sockets and its files.

Everything hangs from the home, so that callers with different environments find the same manager: ``home/run`` is a
folder, or a link to the real one below XDG_RUNTIME_DIR, made by the keeper.
"""

from __future__ import annotations

import os

from rookery._base import addresses
from rookery.errors import RookeryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_ADDRESS = addresses.LONGEST_ADDRESS


def home(environ: Mapping[str, str]) -> str:
    """The absolute path of the home: ROOKERY_HOME, else the place of this user.

    A relative XDG_STATE_HOME is ignored, as its specification says.
    """
    chosen = environ.get("ROOKERY_HOME")
    if chosen:
        return os.path.abspath(chosen)
    if os.geteuid() == 0:
        return "/var/lib/rookery"
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "rookery")


def package_root() -> str:
    """The folder that holds the package; what a process of ours puts on its path."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def control_socket(home: str) -> str:
    """Where the manager's HTTP API listens."""
    return os.path.join(home, "run", "control.sock")


def keeper_socket(home: str) -> str:
    """Where the keeper listens for its manager."""
    return os.path.join(home, "run", "keeper.sock")


def collector_socket(home: str) -> str:
    """Where the log collector listens for the manager."""
    return os.path.join(home, "run", "collector.sock")


def state_file(home: str) -> str:
    """What should run and what runs."""
    return os.path.join(home, "state.json")


def lock_file(home: str) -> str:
    """Locked (flock) for as long as a keeper or manager of this home lives."""
    return os.path.join(home, "lock")


def log_folder(home: str) -> str:
    """The apps' output."""
    return os.path.join(home, "logs")


def manager_log(home: str) -> str:
    """What keeper, manager and collector say themselves."""
    return os.path.join(home, "manager.log")


def scope_file(home: str) -> str:
    """The eight digits that tell this home's processes from others'."""
    return os.path.join(home, "scope")


class connectable(addresses.connectable):  # noqa: N801 - see there
    """See addresses.connectable; what helps here is another home."""

    hint = "choose a shorter home with: rook --home DIR"


def ensure_home(home: str) -> None:
    """Make the home (0700) where it is missing, and check whose it is and who may write to it.

    Raises RookeryError where it cannot be made, belongs to someone else, or is open to others.
    """
    try:
        os.makedirs(home, mode=0o700, exist_ok=True)
        found = os.stat(home)
    except OSError as error:
        raise RookeryError(
            f"could not make the home {home}",
            why=error.strerror or str(error),
            hint="choose another one with: rook --home DIR",
        ) from error
    if found.st_uid != os.geteuid():
        raise RookeryError(
            f"the home {home} belongs to someone else",
            why=f"its owner is uid {found.st_uid}, you are uid {os.geteuid()}",
            hint="run rook as its owner, or choose another one with: rook --home DIR",
        )
    if found.st_mode & 0o022:
        raise RookeryError(
            f"the home {home} is open to others",
            why=f"its mode is {found.st_mode & 0o7777:04o}: its group or everyone may write to it",
            hint=f"close it with: chmod 700 {home}",
        )
