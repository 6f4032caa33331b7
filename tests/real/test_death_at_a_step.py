"""The manager dies between two steps of a request; the next one makes it good, and there is never a second copy."""

from __future__ import annotations

import pytest

from capabilities import DEADLINE, copy_package, needs_linux
from rookery.testing import wait_until

pytestmark = [pytest.mark.real, needs_linux, pytest.mark.timeout(120)]

APPS, ACTS, UNIT = "apps/manager.py", "apps/acts.py", "supervise/unit.py"
PLUMBING, STORE = "daemon/manager/plumbing.py", "daemon/manager/store.py"
KEEPER, SETTLE = "daemon/manager/keeper_client.py", "apps/settle.py"
STARTING, ENDING = {"start", "restart", "more"}, {"stop", "restart", "fewer", "scale"}
APPLYING, ANY = {"start", "more", "fewer"}, STARTING | ENDING
WRITTEN_FIRST, GOING = APPLYING | {"scale"}, {"fewer", "scale"}

STEPS = {  # the file, the line before which it dies, and which requests come by
    "applied, not saved": (
        ACTS,
        "        await self._save()\n        return await asyncio.gather(*(self.delete(",
        WRITTEN_FIRST,
    ),
    "applied and saved": (APPS, "            act = self._acts.restart if is_changed", APPLYING),
    "marked, not deleted": (ACTS, "        return await asyncio.gather(*(self.delete(one) for one in chosen", GOING),
    "acted, nothing done": (APPS, "            gone = [\n", {"stop", "restart"}),
    "between stop and start": (
        UNIT,
        "            await self._start()\n            self.restarts += was_up\n",
        {"restart"},
    ),
    "before its pipes": (UNIT, "            spec = await self._plumbing.prepare(", STARTING),
    "pipes made, not kept": (PLUMBING, "            await self._keeper.put(names, fds)\n", STARTING),
    "pipes kept, nobody reads": (PLUMBING, "                self._began_at = _size(", STARTING),
    "collector reads": (UNIT, "            env = {**(os.environ if spec.env", STARTING),
    "spawned": (UNIT, "        self._started = self._clock.monotonic()\n        self._move(Event.SPAWNED", STARTING),
    "before the stop": (UNIT, "                forced = await stop_process(handle, tree, self.stop_plan", ENDING),
    "ended, nothing put away": (UNIT, "            await self._gone(await handle.wait(), forced=forced)\n", ENDING),
    "flushed, pipes kept": (PLUMBING, "        self._keeper.drop([*self._log_names(generation)", ENDING),
    "output put away": (UNIT, "        self.last_exit = LastExit(status, reason,", ENDING),
    "exit noted": (UNIT, "        self._move(Event.GONE, reason)\n", ENDING),
    "stopped, not deleted": (ACTS, "        await one.copy.close()\n        app.instances.remove", GOING),
    "before a write": (STORE, "                await asyncio.to_thread(write, self._path", ANY),
    "in the middle of a write": ("_base/atomic.py", "        if keep_backup:\n", ANY),
    "after a write": (STORE, '                self.problem = ""\n', ANY),
    "exit saved, not acknowledged": (KEEPER, "        for key, generation in self._in_snapshot:\n", ENDING),
    "before the answer": (SETTLE, "    await save()\n    return ActionResult(", ANY),
}
LONG_LIVED = ("daemon/keeper/programs.py", "FAST = 5.0", "FAST = 0.0")  # no pauses between our many managers


@pytest.fixture(scope="module")
def mortal(tmp_path_factory):
    """A version whose manager dies at a step when a file of the step's name exists; (its root, that folder)."""
    folder = tmp_path_factory.mktemp("mortal")
    edits = []
    for name, (file, text, _) in STEPS.items():
        flag = str(folder / name)
        blank = text[: len(text) - len(text.lstrip())]
        dies = f"(__import__('os').unlink({flag!r}), __import__('os')._exit(9))"
        edits.append((file, text, f"{blank}__import__('os').path.exists({flag!r}) and {dies}\n{text}"))
    return copy_package(folder, LONG_LIVED, *edits), folder


class App:
    """Up to two instances, which tell when they meet a second copy of themselves."""

    def __init__(self, rook, folder):
        self.rook, self.folder = rook, folder

    def words(self, verb):
        if verb == "scale":
            return ["scale", "web", "1"]
        count = {"start": 1, "more": 2, "fewer": 1}.get(verb)
        if count is None:
            return [verb, "web", *(["--wait", "started"] if verb == "restart" else [])]
        script = self.rook.programs / "alone_each.sh"
        options = ["--name", "web", "--instances", count, "--wait", "started"]
        return ["start", script, *options, "--", self.folder / "journal"]

    def prepare(self, verb):
        """Bring it to where the request has something to do."""
        self.rook.ok(*self.words("more" if verb in GOING else "start"))
        if verb == "start":
            self.rook.ok("stop", "web")

    def is_as_wanted(self):
        details = self.rook.get("/v1/details")
        rests = {"running": "running", "stopped": "stopped"}
        return all(rests[one["desired"]] == one["row"]["state"] for one in details) and details

    def check(self, verb):
        """It is as the request has it, and nothing else of it runs."""
        rows = self.rook.rows("web")
        wanted = "stopped" if verb == "stop" else "running"
        assert [row["state"] for row in rows] == [wanted] * (2 if verb == "more" else 1)
        pids = {row["pid"] for row in rows} - {None}
        found = {pid for pid, command in self.rook.processes().items() if "alone" in command and "rook" not in command}
        assert found == pids
        for journal in self.folder.glob("journal.?"):
            assert "double" not in journal.read_text()


@pytest.mark.parametrize("verb", sorted(ANY))
def test_the_next_manager_makes_it_good(rook, tmp_path, mortal, verb):
    root, flags = mortal
    rook.environ["PYTHONPATH"] = root
    app = App(rook, tmp_path)
    for name in [name for name, (_, _, verbs) in STEPS.items() if verb in verbs]:
        print(f"{verb}: {name}")
        app.prepare(verb)
        old = rook.ping()["pid"]
        (flags / name).touch()
        print(rook(*app.words(verb)))
        wait_until(lambda name=name: not (flags / name).exists(), DEADLINE, "its death")
        rook.next_manager(old)
        wait_until(app.is_as_wanted, DEADLINE, "what it has written down")
        ran = rook(*app.words(verb))
        assert ran.code == 0, ran
        wait_until(app.is_as_wanted, DEADLINE, "what was asked for")
        app.check(verb)
