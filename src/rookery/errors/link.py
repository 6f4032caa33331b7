"""What can go wrong between two processes that talk."""

from __future__ import annotations

from rookery.errors.base import RookeryError


class LinkError(RookeryError):
    """A connection between two processes of ours broke."""


class FrameError(LinkError):
    """A frame is malformed or larger than allowed; the connection is closed."""


class StaleLease(LinkError):
    """Another manager has taken over; this one must leave."""


class Disconnected(LinkError):
    """The other side of a channel went away, or the channel was closed here; what was underway is not done."""


class WorkerLost(Disconnected):
    """A worker has ended, and its channel with it; what was underway is not done.

    pid; returncode: negative for a signal, or None where nobody saw the end; signal: its name or None; stderr: its last
    lines.
    """

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        pid: int = 0,
        returncode: int | None = None,
        signal: str | None = None,
        stderr: str = "",
    ) -> None:
        self.pid = pid
        self.returncode = returncode
        self.signal = signal
        self.stderr = stderr
        super().__init__(what, why=why, hint=hint)


class ParentGone(Disconnected, SystemExit):
    """The parent of this worker has gone, or disconnected. Where nobody takes it the program ends with 0."""


class NotTrusted(LinkError):
    """The other side is not who it should be: its secret is another one, or its user."""


class ChannelTimeout(RookeryError):
    """No message or answer came in time; the channel lives on. after: seconds."""

    def __init__(self, what: str, after: float, *, hint: str = "") -> None:
        self.after = after
        super().__init__(f"{what} within {after:g} s", hint=hint)


class RemoteError(RookeryError):
    """The other side failed at a request.

    kind: the name of its error's type, such as "ValueError"; text: its message; traceback: as it would have been
    printed there, or "".
    """

    def __init__(self, kind: str, text: str, *, traceback: str = "", hint: str = "") -> None:
        self.kind = kind
        self.text = text
        self.traceback = traceback
        super().__init__(f"{kind}: {text}" if text else kind, hint=hint)

    def __str__(self) -> str:
        if not self.traceback:
            return self.what
        return f"{self.what}\n\nwhere it happened:\n{self.traceback.rstrip()}"


class InputClosed(LinkError):
    """A child does not read its stdin any more: it has ended, or closed it."""
