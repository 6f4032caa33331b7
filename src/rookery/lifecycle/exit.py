"""How a process ended."""

from __future__ import annotations

from dataclasses import dataclass

from rookery._base.signals import signal_name


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """code (0 to 255) or signal number is None; both are None where nobody saw the end."""

    code: int | None = None
    signal: int | None = None
    signal_name: str | None = None

    @classmethod
    def from_returncode(cls, returncode: int | None, *, name: str | None = None) -> ExitStatus:
        """From Popen's convention: a negative number is a signal; None is unknown."""
        if returncode is None:
            return cls()
        if returncode < 0:
            return cls(signal=-returncode, signal_name=name or signal_name(-returncode))
        return cls(code=returncode)

    @property
    def returncode(self) -> int | None:
        """Popen's convention: negative for a signal, None for unknown."""
        return -self.signal if self.signal is not None else self.code

    def __str__(self) -> str:
        if self.signal is not None:
            return f"killed by {self.signal_name or signal_name(self.signal)}"
        if self.code is None:
            return "ended, nobody saw how"
        return f"exited with code {self.code}"
