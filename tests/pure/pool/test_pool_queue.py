"""The queue against a list that is sorted anew at each step."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.pool.rules.queue import TaskQueue


@dataclass(eq=False)
class Task:
    priority: int = 0
    name: int = 0

    def __repr__(self):
        return f"{self.name}@{self.priority}"


class Model:
    """Waiting tasks in the order they are to leave."""

    def __init__(self):
        self.tasks = []

    def push(self, task):
        self.tasks.append(task)
        self.tasks.sort(key=lambda one: -one.priority)  # stable

    def push_front(self, tasks):
        self.tasks[:0] = tasks
        self.tasks.sort(key=lambda one: -one.priority)

    def pop(self):
        return self.tasks.pop(0) if self.tasks else None

    def discard(self, task):
        if task not in self.tasks:
            return False
        self.tasks.remove(task)
        return True


steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.sampled_from([0, 0, 0, 1, -1, 2])),
        st.tuples(st.just("pop"), st.integers(0, 3)),
        st.tuples(st.just("back"), st.integers(0, 5)),
        st.tuples(st.just("discard"), st.integers(0, 50)),
        st.tuples(st.just("again"), st.integers(0, 50)),
    ),
    max_size=60,
)


@given(steps=steps, tidy_from=st.sampled_from([1, 3, 64]))
@settings(max_examples=300, deadline=None)
def test_it_is_a_stable_sort_by_priority(steps, tidy_from):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rookery.pool.rules.queue._TIDY_FROM", tidy_from)
        queue, model, known, out = TaskQueue(), Model(), [], []
        for step, number in steps:
            if step == "push":
                task = Task(number, len(known))
                known.append(task)
                queue.push(task, task.priority)
                model.push(task)
            elif step == "pop":
                for _ in range(number):
                    task = queue.pop()
                    assert task is model.pop()
                    out += [task] if task else []
            elif step == "back":  # those that left last come back
                back, out = (out[-number:], out[:-number]) if number else ([], out)
                queue.push_front(back)
                model.push_front(back)
            elif known:
                task = known[number % len(known)]
                if step == "discard":
                    assert queue.discard(task) == model.discard(task)
                elif task not in model.tasks:  # also one that was discarded before
                    out = [one for one in out if one is not task]
                    queue.push(task, task.priority)
                    model.push(task)
            assert len(queue) == len(model.tasks)
            assert bool(queue) == bool(model.tasks)
        assert queue.drain() == model.tasks
        assert len(queue) == 0
        assert queue.pop() is None


def test_what_was_discarded_is_not_held_for_long():
    queue = TaskQueue()
    tasks = [Task(priority % 3, priority) for priority in range(10_000)]
    for task in tasks:
        queue.push(task, task.priority)
    for task in tasks[:9_900]:
        assert queue.discard(task)
    assert len(queue) == 100
    assert sum(map(len, (queue._top, *queue._others.values()))) <= 264
    assert queue.drain() == sorted(tasks[9_900:], key=lambda task: -task.priority)


def test_what_comes_back_keeps_its_order_and_its_priority():
    queue = TaskQueue()
    tasks = [Task(1, 1), Task(1, 2), Task(0, 3), Task(0, 4), Task(0, 5)]
    for task in tasks:
        queue.push(task, task.priority)
    taken = [queue.pop() for _ in range(4)]
    assert taken == tasks[:4]
    queue.push(Task(1, 6), 1)
    queue.push_front(taken)
    assert [task.name for task in queue.drain()] == [1, 2, 6, 3, 4, 5]


def test_an_empty_queue_forgets_the_index_of_discards():
    queue = TaskQueue()
    first, second = Task(), Task()
    queue.push(first)
    queue.push(second)
    assert queue.discard(second)
    assert queue._live is not None
    assert queue.pop() is first
    assert queue.pop() is None
    assert queue._live is None
    assert not queue.discard(first)


def test_a_thousand_priorities():
    queue = TaskQueue()
    for priority in range(1000):
        queue.push(Task(priority), priority)
        queue.push(Task(-priority), -priority)
    assert len(queue) == 2000
    assert [task.priority for task in queue.drain()] == sorted([*range(1000), *range(0, -1000, -1)], reverse=True)
