"""What parent and worker say to each other before anybody else does: variables, and the first two messages.

parent                                                worker
  -- environment: number of the descriptor, codec -->
  -- welcome: data, what to do at disconnect -------->   channel() or connect() waits for it
  <------------------------------------------- ready --   then all messages are the program's own
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rookery.errors import LinkError

if TYPE_CHECKING:
    from typing import Final

FD: Final = "ROOKERY_CHANNEL_FD"
CODEC: Final = "ROOKERY_CHANNEL_CODEC"
MAX_MESSAGE: Final = "ROOKERY_CHANNEL_MAX_MESSAGE"
PATH: Final = "ROOKERY_WORKER_PATH"
"""Where a function is to be looked for: the parent's sys.path."""
HEARTBEAT_FD: Final = "ROOKERY_HEARTBEAT_FD"
"""Bytes that come there go back as they are: the worker is not stuck."""
HEARTBEAT_LIMIT: Final = "ROOKERY_HEARTBEAT_LIMIT"
"""Seconds without a byte after which the parent is to be called silent."""
NODE_FD: Final = "NODE_CHANNEL_FD"
NODE_MODE: Final = "NODE_CHANNEL_SERIALIZATION_MODE"
ALL: Final = (FD, CODEC, MAX_MESSAGE, PATH, HEARTBEAT_FD, HEARTBEAT_LIMIT, NODE_FD, NODE_MODE)

VERSION: Final = 1
_WELCOME: Final = "rookery.welcome"
READY: Final = "rookery.ready"


def welcome(data: Any, *, exit_on_disconnect: bool) -> dict[str, Any]:
    """The parent's first message."""
    return {"type": _WELCOME, "version": VERSION, "data": data, "exit_on_disconnect": exit_on_disconnect}


def welcomed(message: Any) -> tuple[Any, bool]:
    """The data and exit_on_disconnect of a welcome. Raises LinkError where it is none, or of another version."""
    if not isinstance(message, dict) or message.get("type") != _WELCOME:
        raise LinkError("the parent did not say welcome", why=f"its first message is {message!r:.100}")
    if message.get("version") != VERSION:
        raise LinkError(
            f"the parent speaks version {message.get('version')!r:.20} of the protocol, this worker version {VERSION}",
            hint="let both use the same rookery",
        )
    return message.get("data"), bool(message.get("exit_on_disconnect", True))


def ready(pid: int) -> dict[str, Any]:
    """The worker's word that it can begin."""
    return {"type": READY, "version": VERSION, "pid": pid}


def is_ready(message: Any) -> bool:
    """Whether a message is that word."""
    return isinstance(message, dict) and message.get("type") == READY


def is_word(message: Any, word: str) -> bool:
    """Whether a message is this text, or of this "type": what a program says that knows nothing of ours."""
    return bool(message == word or (isinstance(message, dict) and message.get("type") == word))


def is_ours(message: Any) -> bool:
    """Whether a message belongs to this protocol, not to the program."""
    return isinstance(message, dict) and message.get("type") in (_WELCOME, READY)
