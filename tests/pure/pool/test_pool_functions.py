"""Functions on their way to a worker. Parent and worker are one process here, with a ``__main__`` each."""

from __future__ import annotations

import functools
import gc
import importlib
import operator
import os.path
import sys
import threading
import weakref

import numpy as np
import pytest
from pool_program import Program

from rookery.errors import PoolError
from rookery.pool.values.functions import FunctionBook, Functions, FunctionUnknown, unwrapped
from rookery.pool.values.pickling import decode, encode_whole, settle


class Sides:
    """call(function) sends it as a pool does, only what the worker does not know, and calls it there."""

    def __init__(self):
        self.program = Program()
        self.book = FunctionBook()
        self.worker = Functions(lambda: False)
        self.known = set()

    def send(self, function):
        with self.program:
            number, pickled = self.book.number_of(function)
        got = self.worker.get(number, None if number in self.known else pickled)
        self.known.add(number)
        return got

    def call(self, function, *args):
        return self.send(function)(*args)

    def run(self, source, **names):
        with self.program:
            self.program.run(source, **names)

    def number(self, function):
        with self.program:
            return self.book.number_of(function)[0]


@pytest.fixture
def sides():
    main = sys.modules["__main__"]
    yield Sides()
    sys.modules["__main__"] = main
    settle(None)


def double(value):
    return value * 2


def traced(function):
    @functools.wraps(function)
    def inside(*args):
        return function(*args)

    return inside


@traced
def decorated(value):
    return value + 1


class Tool:
    factor = 3

    def __init__(self, start=0):
        self.start = start

    def add(self, value):
        return self.start + value

    @staticmethod
    def plain(value):
        return value - 1

    @classmethod
    def times(cls, value):
        return cls.factor * value

    def __call__(self, value):
        self.start += value
        return self.start


@pytest.mark.parametrize(
    ("function", "args", "result"),
    [
        (double, (4,), 8),
        (decorated, (4,), 5),
        (Tool.plain, (4,), 3),
        (Tool.times, (4,), 12),
        (Tool(10).add, (4,), 14),
        (Tool(10), (4,), 14),
        (functools.partial(double, 3), (), 6),
        (functools.partial(max, key=abs), (-3, 2), -3),
        (len, ("four",), 4),
        ([1, 2].count, (2,), 1),
        (str.upper, ("a",), "A"),
        (dict.fromkeys, ("a",), {"a": None}),
        (np.sqrt, (16.0,), 4.0),
        (np.add.reduce, ([1, 2],), 3),
        (operator.itemgetter(1), ("ab",), "b"),
        (os.path.join, ("a", "b"), "a/b"),
        (int, ("7",), 7),
        (lambda value: value + 7, (1,), 8),
    ],
)
def test_every_kind_of_callable(sides, function, args, result):
    assert sides.call(function, *args) == result
    assert sides.call(function, *args) == result


@pytest.mark.parametrize("function", [double, decorated, len, Tool, Tool.plain, np.sqrt])
def test_what_can_be_imported_goes_by_name_and_once(sides, function):
    assert sides.send(function) is function
    first = sides.book.number_of(function)
    assert sides.book.number_of(function) == first


def test_same_content_same_number(sides):
    def make():
        return lambda value: value + 1

    one, other = make(), make()
    assert sides.number(one) == sides.number(other)
    assert sides.number(make) != sides.number(one)


DECORATED = """
import functools
def wrapper(function):
    @functools.wraps(function)
    def inside(*args): return function(*args)
    return inside
@wrapper
def f(value): return value + 1
"""


@pytest.mark.parametrize(
    "source",
    [
        "def f(value): return value + 1",
        "f = lambda value: value + 1",
        "def f(value, one=1, *, none=0): return value + one + none",
        "import functools\n@functools.lru_cache\ndef f(value): return value + 1",
        "import functools\n@functools.lru_cache(maxsize=3)\ndef f(value): return value + 1",
        "import functools\ndef g(value): return value + 1\nf = functools.partial(g)",
        DECORATED,
        "class C:\n  @staticmethod\n  def s(value): return value + 1\nf = C.s",
        "class C:\n  one = 1\n  @classmethod\n  def s(cls, value): return value + cls.one\nf = C.s",
        "class C:\n  def __init__(self): self.one = 1\n  def __call__(self, value): return value + self.one\nf = C()",
        "class B:\n  def s(self): return 1\nclass C(B):\n  def s(self, value): return super().s() + value\nf = C().s",
        "def h(value): return value + 1\ndef g(value): return h(value)\ndef f(value): return g(value)",
        "def f(value, n=0): return value + 1 if n > 3 else f(value, n + 1)",
        "def f(value, n=0): return value + 1 if n > 3 else g(value, n + 1)\ndef g(value, n): return f(value, n)",
        "import os.path, xml.etree.ElementTree\ndef f(value): return value + len(os.path.join('')) + 1",
        "def f(value: int) -> int | None: return value + 1",
        "def f(value: 'list[C]') -> 'C': return value + 1\nclass C: pass",
        "def f(value):\n  def g(): return value + one\n  return g()\none = 1",
        "import enum\nclass E(enum.Enum):\n  ONE = 1\ndef f(value): return value + E.ONE.value",
        "from dataclasses import dataclass\n@dataclass\nclass D:\n  one: int = 1\ndef f(value): return value + D().one",
        "from typing import NamedTuple\nclass N(NamedTuple):\n  one: int = 1\ndef f(value): return value + N().one",
        "def g():\n  while True: yield 1\ndef f(value): return value + next(g())",
    ],
)
def test_functions_of_a_program(sides, source):
    sides.run(source)
    assert sides.call(sides.program.f, 3) == 4
    assert sides.call(sides.program.f, 4) == 5


def test_a_bound_anew_global_is_seen(sides):
    sides.run("x = 1\ndef f(): return x")
    f = sides.program.f
    numbers = []
    for value in (1, 2, True, 1, None, 2):
        sides.run("", x=value)
        numbers.append(sides.number(f))
        result = sides.call(f)
        assert (type(result), result) == (type(value), value)
    assert numbers[0] == numbers[3]
    assert numbers[1] == numbers[5]


def test_a_global_that_comes_later_is_seen(sides):
    sides.run("def f(): return later")
    with pytest.raises(NameError):
        sides.call(sides.program.f)
    sides.run("later = 5")
    assert sides.call(sides.program.f) == 5


def test_a_changed_global_is_seen(sides):
    sides.run("table = {'a': 1}\nitems = [1]\ndef f(): return table['a'] + len(items)")
    assert sides.call(sides.program.f) == 2
    sides.program.table["a"] = 5
    assert sides.call(sides.program.f) == 6
    sides.program.items.append(2)
    assert sides.call(sides.program.f) == 7


def test_a_global_of_a_function_that_is_called_is_seen(sides):
    sides.run("x = 1\ndef g(): return x\ndef f(): return g()")
    assert sides.call(sides.program.f) == 1
    sides.run("x = 2")
    assert sides.call(sides.program.f) == 2
    sides.run("def g(): return 'other'")
    assert sides.call(sides.program.f) == "other"


def test_a_name_within_an_inner_function_is_seen(sides):
    sides.run("x = 1\ndef f(): return (lambda: [x for _ in 'a'])()")
    assert sides.call(sides.program.f) == [1]
    sides.run("x = 2")
    assert sides.call(sides.program.f) == [2]


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ("f.__defaults__ = (2,)", (2, 0, None)),
        ("f.__kwdefaults__['key'] = 3", (1, 3, None)),
        ("f.__kwdefaults__ = {'key': 4}", (1, 4, None)),
        ("f.mark = 5", (1, 0, 5)),
        ("f.__code__ = (lambda value, *, key: (value, key, 'code')).__code__", (1, 0, "code")),
    ],
)
def test_what_a_function_itself_has_may_change(sides, change, result):
    sides.run("def f(value=1, *, key=0): return value, key, getattr(f, 'mark', None)")
    assert sides.call(sides.program.f) == (1, 0, None)
    number = sides.number(sides.program.f)
    sides.run(change)
    assert sides.number(sides.program.f) != number
    assert sides.call(sides.program.f) == result


@pytest.mark.parametrize("change", ["f.__defaults__[0]", "f.__kwdefaults__['more']", "f.note"])
def test_what_a_function_itself_has_may_change_inside(sides, change):
    sides.run("def f(items=[], *, more=[]): return len(items), len(more), len(f.note)\nf.note = []")
    before = sides.call(sides.program.f)
    assert before == (0, 0, 0)
    sides.run(f"{change}.append(1)")
    assert sum(sides.call(sides.program.f)) == 1


def test_a_function_defined_anew(sides):
    sides.run("def f(): return 1")
    old = sides.program.f
    assert sides.call(old) == 1
    sides.run("def f(): return 2")
    assert sides.call(sides.program.f) == 2
    assert sides.call(old) == 1


def test_a_class_defined_anew_or_changed(sides):
    sides.run("class C:\n  one = 1\n  def get(self): return self.one\ndef f(): return C().get()")
    assert sides.call(sides.program.f) == 1
    sides.program.C.one = 2
    assert sides.call(sides.program.f) == 2
    sides.run("class C:\n  def get(self): return 3")
    assert sides.call(sides.program.f) == 3


def test_a_closure_over_a_list_is_each_task_s_own(sides):
    kept = []

    def add(value):
        kept.append(value)
        return list(kept)

    assert sides.call(add, 1) == [1]
    assert sides.call(add, 2) == [2]
    kept.append(0)
    assert sides.call(add, 3) == [0, 3]


def test_a_closure_that_is_bound_anew(sides):
    def make():
        value = 1

        def change(new):
            nonlocal value
            value = new

        return change, lambda: value

    change, get = make()
    assert sides.call(get) == 1
    change(2)
    assert sides.call(get) == 2


def test_a_closure_over_a_function_with_a_list(sides):
    kept = []

    def inner(value):
        kept.append(value)
        return len(kept)

    def outer(value):
        return inner(value)

    assert [sides.call(outer, 1) for _ in range(3)] == [1, 1, 1]


def test_an_object_s_state_is_each_task_s_own(sides):
    tool = Tool(1)
    assert [sides.call(tool, 1) for _ in range(3)] == [2, 2, 2]
    tool.start = 5
    assert sides.call(tool, 1) == 6


def test_an_empty_cell(sides):
    def make():
        def get():
            return later

        if kept:
            later = kept[0]
        return get

    kept = []
    with pytest.raises(NameError):
        sides.call(make())
    kept.append(3)
    assert sides.call(make()) == 3


class TestWorkerGlobals:
    """What a program's functions set in the worker stays there, as it would in a module."""

    def test_the_initializer_and_the_tasks_share_them(self, sides):
        sides.run("model = None\ndef begin():\n  global model\n  model = [5]\ndef f(): return model[0]")
        sides.call(sides.program.begin)
        assert sides.call(sides.program.f) == 5
        assert sides.program.model is None

    def test_also_names_that_the_program_never_had(self, sides):
        sides.run("def begin():\n  global model\n  model = 5\ndef f(): return model")
        sides.call(sides.program.begin)
        assert sides.call(sides.program.f) == 5

    def test_also_what_is_changed_in_place(self, sides):
        sides.run("state = {}\ndef begin(): state['model'] = 5\ndef f(): return state['model']")
        sides.call(sides.program.begin)
        assert [sides.call(sides.program.f) for _ in range(2)] == [5, 5]

    def test_the_program_s_change_wins(self, sides):
        sides.run("n = 0\ndef f():\n  global n\n  n += 1\n  return n")
        f = sides.program.f
        assert [sides.call(f), sides.call(f)] == [1, 2]
        sides.run("n = 10")
        assert [sides.call(f), sides.call(f)] == [11, 12]

    def test_a_value_that_returns_is_the_program_s_again(self, sides):
        sides.run("kept = []\ndef f(value):\n  kept.append(value)\n  return list(kept)")
        f = sides.program.f
        assert [sides.call(f, 1), sides.call(f, 2)] == [[1], [1, 2]]
        sides.program.kept.append(0)
        assert sides.call(f, 3) == [0, 3]
        del sides.program.kept[:]
        assert sides.call(f, 4) == [4]

    def test_two_functions_and_a_value_that_changes_between_them(self, sides):
        sides.run("x = 1\ndef f(): return x\ndef g(): return x")
        assert sides.call(sides.program.f) == 1
        sides.run("x = 2")
        assert sides.call(sides.program.g) == 2
        sides.run("x = 1")
        assert sides.call(sides.program.f) == 1
        assert sides.call(sides.program.g) == 1

    def test_an_argument_brings_the_same_names(self, sides):
        sides.run("x = 1\ndef f(): return x\ndef begin():\n  global x\n  x = 5")
        sides.call(sides.program.begin)
        with sides.program:
            stream = encode_whole(sides.program.f)
        assert decode(stream)() == 5


def test_a_watched_function_is_not_pickled_again(sides, monkeypatch):
    sides.run("x = 1\ndef g(): return x\ndef f(): return g()")
    sides.call(sides.program.f)
    monkeypatch.setattr("rookery.pool.values.by_value.dumps", None)
    assert sides.call(sides.program.f) == 1


def test_a_function_is_not_kept_alive(sides):
    value = 3
    function = lambda: value  # noqa: E731
    number = sides.number(function)
    sides.run("def f(): return 1")
    seen = weakref.ref(function)
    del function
    gc.collect()
    assert seen() is None
    assert not [entry for entry in sides.book._entries.values() if entry.answer[0] == number]


def test_what_cannot_be_pickled_says_so(sides):
    lock = threading.Lock()
    with pytest.raises(TypeError, match="lock"):
        sides.number(lambda: lock)
    with pytest.raises(TypeError, match="lock"):
        sides.number(lock.acquire)


def test_an_unknown_number(sides):
    with pytest.raises(FunctionUnknown, match="77") as caught:
        sides.worker.get(77, None)
    assert isinstance(caught.value, PoolError)
    assert caught.value.number == 77


def test_a_function_that_cannot_be_unpickled_can_be_sent_again(sides, tmp_path, monkeypatch):
    (tmp_path / "comes_later.py").write_text("def f(): return 8\n")
    monkeypatch.syspath_prepend(tmp_path)
    function = importlib.import_module("comes_later").f
    number, pickled = sides.book.number_of(function)
    sys.path.remove(str(tmp_path))
    del sys.modules["comes_later"]
    importlib.invalidate_caches()
    with pytest.raises(ModuleNotFoundError):
        sides.worker.get(number, pickled)

    asked = []

    def again():
        asked.append(1)
        sys.path.insert(0, str(tmp_path))
        importlib.invalidate_caches()
        return True

    later = Functions(again)
    assert later.get(number, pickled)() == 8
    assert asked == [1]
    monkeypatch.delitem(sys.modules, "comes_later")


def test_bytes_of_a_reused_buffer_are_copied(sides):
    kept = [1]
    number, pickled = sides.book.number_of(lambda: kept)  # unpickled for each task
    buffer = bytearray(pickled)
    sides.worker.get(number, memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert sides.worker.get(number, None)() == [1]


def test_the_book_is_bounded(sides, monkeypatch):
    monkeypatch.setattr("rookery.pool.values.functions._MOST", 10)
    monkeypatch.setattr("rookery.pool.values.functions._MOST_BY_IDENTITY", 10)
    kept = [eval(f"lambda: {number}") for number in range(50)]
    numbers = {sides.number(function) for function in kept}
    assert len(numbers) == 50
    assert len(sides.book._numbers) == 10
    assert len(sides.book._entries) == 10
    assert sides.number(kept[0]) not in numbers
    assert sides.call(kept[0]) == 0


def test_the_worker_is_bounded(sides, monkeypatch):
    monkeypatch.setattr("rookery.pool.values.functions_guest._MOST", 10)
    monkeypatch.setattr("rookery.pool.values.functions_guest._MOST_LARGE_BYTES", 100_000)
    for number in range(50):
        sides.call(eval(f"lambda: {number}"))
        sides.call(functools.partial(len, bytes([number]) * 20_000))
    assert len(sides.worker._small) == 10
    assert len(sides.worker._large) == 4
    sides.worker.get(next(iter(sides.worker._small)), None)


def test_the_bytes_of_the_book_are_bounded(sides, monkeypatch):
    monkeypatch.setattr("rookery.pool.values.functions._MOST_BYTES", 100_000)
    for number in range(50):
        sides.number(functools.partial(len, bytes([number]) * 20_000))
    assert len(sides.book._numbers) == 4
    assert sides.book._bytes <= 100_000


def test_numbers_are_given_by_many_threads_at_once(sides):
    found = []
    gate = threading.Barrier(8)

    def ask():
        gate.wait()
        found.append([sides.book.number_of(function) for function in functions])

    functions = [eval(f"lambda: {number}") for number in range(50)] + [double, len]
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one == found[0] for one in found)
    assert len({number for number, _ in found[0]}) == len(functions)


def test_partials_are_taken_apart():
    part = functools.partial(functools.partial(double, 1, a=1), 2, b=2)
    assert unwrapped(part, (3,), {"b": 3}) == (double, (1, 2, 3), {"a": 1, "b": 3})
    marked = functools.partial(double)
    marked.note = 1
    assert unwrapped(marked, (1,), {}) == (marked, (1,), {})
    assert unwrapped(double, (1,), {}) == (double, (1,), {})
