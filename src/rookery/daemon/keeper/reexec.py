"""The keeper becomes another version of itself: same pid, same children, same descriptors."""

from __future__ import annotations

import json
import os
import socket

from rookery.daemon.keeper.children import Child, Children
from rookery.daemon.keeper.programs import Command
from rookery.daemon.keeper.store import LIFE, LOCK, DescriptorStore
from rookery.process.spec import from_json, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rookery.daemon.keeper.core import Keeper

VERSION = 1
_CODE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from rookery.daemon.keeper.main import main; main()"


def reexec(keeper: Keeper, listener: socket.socket) -> None:
    """Write everything down where the next image finds it, and become that. Does not return; raises OSError."""
    assert keeper.reexec_to is not None
    command = keeper.reexec_to
    manager, collector = keeper.managers, keeper.collector
    fds = keeper.store.all()
    adopted = keeper.children.adopted()
    spec = keeper.collector_spec
    plain = {
        "version": VERSION,
        "epoch": keeper.epoch,
        "open_files": keeper.children.open_files,
        "fds": fds,
        "life_writer": keeper.life_writer,
        "listener": listener.fileno(),
        "children": [child.to_json() for child in keeper.children.all() if child not in [one for _, one in adopted]],
        "adopted": [[pidfd, child.to_json()] for pidfd, child in adopted],
        "manager": None if manager.current.child is None else manager.current.child.generation,
        "generation": manager.current.generation,
        "good": manager.good,
        "collector": None if collector.child is None else collector.child.generation,
        "collector_spec": None if spec is None else to_json(spec),
    }
    state = os.memfd_create("rookery-keeper")
    os.write(state, json.dumps(plain).encode())
    for fd in (
        state,
        listener.fileno(),
        keeper.life_writer,
        *fds.values(),
        *(pidfd for pidfd, _ in adopted if pidfd >= 0),
    ):
        os.set_inheritable(fd, True)
    arguments = [
        command.python,
        "-I",
        "-S",
        "-c",
        _CODE,
        command.root,
        "rookery-keeper",
        f"--resume={state}",
        keeper.home,
    ]
    os.execv(command.python, arguments)


class Resumed:
    """What the image before has left."""

    def __init__(self, state: int, *, filler: int) -> None:
        os.lseek(state, 0, os.SEEK_SET)
        with open(state, "rb") as file:
            self._plain: dict[str, Any] = json.load(file)
        plain = self._plain
        fds = {str(name): int(fd) for name, fd in plain["fds"].items()}
        pidfds = [int(pidfd) for pidfd, _ in plain["adopted"] if pidfd >= 0]
        for fd in (plain["listener"], plain["life_writer"], *fds.values(), *pidfds):
            os.set_inheritable(fd, False)
        self.listener = socket.socket(fileno=plain["listener"])
        self.store = DescriptorStore(lock=fds.pop(LOCK), life=fds.pop(LIFE))
        for name, fd in fds.items():
            self.store.restore(name, fd)
        self.children = Children(filler=filler, open_files=plain["open_files"])
        for one in plain["children"]:
            self.children.take_in(_child(one))
        for pidfd, one in plain["adopted"]:
            self.children.adopt(_child(one), int(pidfd) if pidfd >= 0 else None)

    def apply(self, keeper: Keeper) -> None:
        """Make keeper what the one before was."""
        plain = self._plain
        keeper.epoch = plain["epoch"]
        keeper.life_writer = plain["life_writer"]
        spec = plain["collector_spec"]
        keeper.collector_spec = None if spec is None else from_json(spec)
        for program, key, generation in (
            (keeper.managers.current, "@manager", plain["manager"]),
            (keeper.collector, "@collector", plain["collector"]),
        ):
            if generation is not None:
                program.child = self.children.get(key, generation)
                program.generation = generation
        keeper.managers.current.generation = plain["generation"]
        good = plain.get("good")
        keeper.managers.good = None if good is None else Command(*map(str, good))
        keeper.managers.current.want()
        if keeper.collector_spec is not None:
            keeper.collector.want()


def _child(plain: dict[str, Any]) -> Child:
    child = Child(plain["key"], plain["generation"], plain["pid"], plain["start_time"], plain["started_at"])
    child.returncode, child.ended_at = plain["returncode"], plain["ended_at"]
    return child
