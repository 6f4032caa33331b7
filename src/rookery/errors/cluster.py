"""What can go wrong with the workers behind a port."""

from __future__ import annotations

from rookery.errors.base import RookeryError


class ClusterError(RookeryError):
    """A cluster could not do what it was asked for."""


class BindFailed(ClusterError):
    """It cannot listen there. address: as it was written."""

    def __init__(self, address: str, *, why: str, hint: str = "") -> None:
        self.address = address
        super().__init__(f"cannot listen on {address}", why=why, hint=hint)


class WorkerNotReady(ClusterError):
    """A worker did not come up. slot: which; returncode: how it ended, None where it did not; stderr: last lines."""

    def __init__(
        self, slot: int, why: str, *, returncode: int | None = None, stderr: tuple[str, ...] = (), hint: str = ""
    ) -> None:
        self.slot = slot
        self.reason = why
        self.returncode = returncode
        self.stderr = "\n".join(stderr)
        super().__init__(f"worker {slot} did not become ready", why="\n  ".join([why, *stderr]), hint=hint)


class ReloadFailed(ClusterError):
    """New workers did not come up; the old ones go on serving.

    slot: where; reason: why; stderr: the new worker's last lines; replaced: slots that run the new version already.
    """

    def __init__(self, slot: int, why: str, *, stderr: str = "", replaced: tuple[int, ...] = ()) -> None:
        self.slot = slot
        self.reason = why
        self.stderr = stderr
        self.replaced = replaced
        done = f" ({len(replaced)} had been replaced before)" if replaced else ""
        super().__init__(
            f"reload given up at worker {slot}, the old workers go on{done}",
            why="\n  ".join([why, *stderr.splitlines()]),
        )
