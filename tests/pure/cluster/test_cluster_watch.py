"""Looking at all workers: what a look costs."""

from __future__ import annotations

from types import SimpleNamespace

from rookery._base.clock import SystemClock
from rookery.cluster.settings import Settings
from rookery.cluster.stats import Numbers
from rookery.cluster.watch import Watch
from rookery.lifecycle.state import State


class PaperCrew:
    """Counts how often it is gone through."""

    def __init__(self, count):
        self.everybody = [member(number) for number in range(count)]
        self.members = {}
        self.times = 0

    def __iter__(self):
        self.times += 1
        return iter(self.everybody)


def member(number):
    silence = SimpleNamespace(look=lambda *_, **__: 0.0, is_known=False)
    unit = SimpleNamespace(key=str(number), state=State.RUNNING, pid=None)
    care = SimpleNamespace(silence=silence, blame="")
    return SimpleNamespace(slot=number, id=number, unit=unit, care=care, now=Numbers())


def test_a_look_goes_through_everybody_once_and_forgets_who_has_gone():
    crew = PaperCrew(100)
    watch = Watch(crew, lambda: Settings("x:y", (), 1), SystemClock(), lambda _: None, lambda _: None, samples=False)
    watch.look()
    assert crew.times == 1
    assert len(watch._history) == 100
    crew.everybody = crew.everybody[:2]
    watch.look()
    assert crew.times == 2
    assert len(watch._history) == 2
