"""How a process ended."""

from __future__ import annotations

from dataclasses import dataclass

# Names by number, as on Linux x86 and arm; the signal module may not be imported here (lifecycle is pure) and the
# numbers that people meet are the same on macOS.
_COMMON = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 8: "SIGFPE", 9: "SIGKILL",
    11: "SIGSEGV", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
}  # fmt: skip


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
            return cls(signal=-returncode, signal_name=name or _COMMON.get(-returncode, f"signal {-returncode}"))
        return cls(code=returncode)

    @property
    def returncode(self) -> int | None:
        """Popen's convention: negative for a signal, None for unknown."""
        return -self.signal if self.signal is not None else self.code

    def __str__(self) -> str:
        if self.signal is not None:
            return f"killed by {self.signal_name or _COMMON.get(self.signal, f'signal {self.signal}')}"
        if self.code is None:
            return "ended, nobody saw how"
        return f"exited with code {self.code}"
