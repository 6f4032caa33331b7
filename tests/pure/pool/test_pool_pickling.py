"""Values on their way to a worker and back."""

from __future__ import annotations

import array
import datetime as dt
import decimal
import pickle
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pool_program import Program

from rookery.pool.values.functions import Functions
from rookery.pool.values.guest import Guest
from rookery.pool.values.pickling import BESIDE, decode, encode, encode_whole, settle

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.just("__main__")
    | st.sampled_from([len, dict, decimal.Decimal("1.5"), dt.date(2000, 1, 1), array.array("d", [1.0, 2.0])])
)
hashable = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
nested = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(hashable, inner)
        | st.sets(hashable)
        | st.frozensets(hashable)
        | st.binary().map(bytearray)
    ),
    max_leaves=20,
)


def shape_of(value):
    """The value and the types in it: True == 1 == 1.0."""
    if isinstance(value, dict):
        return dict, [(shape_of(key), shape_of(one)) for key, one in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [shape_of(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted(map(repr, value))
    return type(value), value


@given(nested)
def test_nested_values_come_back(value):
    stream, buffers = encode(value)
    assert shape_of(decode(stream, buffers)) == shape_of(value)
    assert shape_of(decode(memoryview(stream), buffers)) == shape_of(value)
    assert shape_of(decode(encode_whole(value))) == shape_of(value)


@given(st.lists(nested, max_size=4), st.dictionaries(st.text(), nested, max_size=3))
def test_arguments_come_back(args, kwargs):
    call = tuple(args), kwargs
    assert shape_of(decode(*encode(call))) == shape_of(call)


SIZES = (0, 1, BESIDE // 8 - 1, BESIDE // 8, 3 * BESIDE)


def whole(size):
    return np.arange(size, dtype="float64")


MAKES = {
    "contiguous": whole,
    "square": lambda size: whole(size // 2 * 2).reshape(2, -1),
    "fortran": lambda size: np.asfortranarray(whole(size // 2 * 2).reshape(2, -1)),
    "every second": lambda size: whole(2 * size)[::2],
    "backwards": lambda size: whole(size)[::-1],
    "a column": lambda size: whole(3 * size).reshape(-1, 3)[:, 1],
    "transposed": lambda size: whole(size // 6 * 6).reshape(-1, 2, 3).transpose(1, 0, 2),
    "broadcast": lambda size: np.broadcast_to(np.float64(7), (size,)),
    "other byte order": lambda size: whole(size).astype(">i4"),
    "text": lambda size: whole(size).astype("U8"),
    "objects": lambda size: np.array([str(one) for one in range(min(size, 100))] or [None], dtype=object),
    "records": lambda size: np.zeros(size, dtype=[("a", "i4"), ("b", "f8", (2,))]),
    "moments": lambda size: whole(size).astype("datetime64[s]"),
    "bool": lambda size: whole(size) > 1,
    "a part": lambda size: whole(size + 10)[5:-5],
    "no dimension": lambda size: np.array(float(size)),
    "masked": lambda size: np.ma.masked_array(whole(size), mask=whole(size) > 2),
    "matrix of nothing": lambda _: np.zeros((3, 0, 5)),
}


def content_of(value):
    return value.tolist() if value.dtype == object else np.ma.getdata(value).tobytes()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
@pytest.mark.parametrize("is_readonly", [False, True], ids=["writable", "readonly"])
def test_arrays_come_back(make, size, is_readonly):
    value = make(size)
    if is_readonly:
        value.flags.writeable = False
    stream, buffers = encode(((value, {"again": value}), {}))
    # As they arrive: other memory, which can be written.
    (found, more), _ = decode(stream, [memoryview(bytearray(buffer)) for buffer in buffers])
    for one in (found, more["again"], decode(encode_whole(value))):
        assert type(one) is type(value)
        assert one.dtype == value.dtype
        assert one.shape == value.shape
        assert np.array_equal(np.ma.getmaskarray(one), np.ma.getmaskarray(value))
        assert content_of(one) == content_of(value)
    assert found is more["again"]
    if not is_readonly and value.flags.writeable and value.size:
        found[...] = value.flat[0]  # a task may work in place
    assert sum(buffer.nbytes for buffer in buffers) == 0 or value.nbytes >= BESIDE


def test_only_large_buffers_go_beside():
    small, large = np.zeros(BESIDE - 1, dtype="u1"), np.zeros(BESIDE, dtype="u1")
    assert encode(small)[1] == []
    stream, buffers = encode([small, large, array.array("d", [0.0]) * BESIDE])
    assert [buffer.nbytes for buffer in buffers] == [BESIDE]
    assert len(stream) > BESIDE  # the small one, and what does not offer its memory


def test_buffers_are_the_value_s_own_memory():
    value = np.zeros(BESIDE)
    _, (buffer,) = encode(value)
    value[0] = 1.0
    assert buffer.cast("B").cast("d")[0] == 1.0


def test_a_part_that_is_not_contiguous_is_refused_as_pickle_does():
    stepped = pickle.PickleBuffer(np.zeros(4 * BESIDE, dtype="u1")[::2])
    with pytest.raises(pickle.PicklingError, match="contiguous"):
        encode([stepped])


@pytest.mark.parametrize("encoded", [lambda value: encode(value)[0], encode_whole])
class TestWhatIsRefused:
    def test_the_error_is_that_of_plain_pickle(self, encoded):
        with pytest.raises(TypeError, match=r"cannot pickle '_thread.lock'"):
            encoded([threading.Lock()])

    def test_its_cause_is_why_by_value_failed_too(self, encoded):
        lock = threading.Lock()
        with pytest.raises((AttributeError, pickle.PicklingError), match=r"local object|lambda") as caught:
            encoded(lambda: lock)
        assert "lock" in str(caught.value.__cause__)

    def test_no_memory_is_told_at_once(self, encoded):
        class Large:
            def __reduce__(self):
                asked.append(1)
                raise MemoryError

        asked = []
        with pytest.raises(MemoryError):
            encoded([Large()])
        assert asked == [1]

    def test_too_deep(self, encoded):
        value = []
        for _ in range(100_000):
            value = [value]
        with pytest.raises(RecursionError):
            encoded(value)


SOURCE = """
from dataclasses import dataclass
import enum
@dataclass
class Point:
    x: int
    def moved(self): return Point(self.x + step)
step = 1
class Color(enum.Enum):
    RED = 1
def f(): return step
class Odd(Point):
    def __reduce__(self): return Odd, (self.x,)
"""


@pytest.fixture
def program():
    main = sys.modules["__main__"]
    program = Program()
    with program:
        program.run(SOURCE)
    yield program
    sys.modules["__main__"] = main
    settle(None)


def test_things_of_a_program(program):
    with program:
        value = [program.Point(1), program.Color.RED, program.f, program.Odd(3), np.zeros(BESIDE)]
        stream, buffers = encode(value)
    assert len(buffers) == 1
    point, color, function, odd, zeros = decode(stream, buffers)
    assert point.moved().x == 2
    assert color.value == 1
    assert function() == 1
    assert odd.x == 3
    assert zeros.size == BESIDE


def test_a_class_comes_back_as_itself(program):
    settle(Guest(lambda: False))
    with program:
        stream, _ = encode(program.Point(1))
    result = decode(stream).moved()
    back = encode_whole(result)
    assert len(back) < 300  # names the class
    settle(None)
    with program:
        found = decode(back)
    assert type(found) is program.Point
    assert found == program.Point(2)


def test_a_class_that_is_gone_says_so(program, monkeypatch):
    settle(Guest(lambda: False))
    with program:
        stream, _ = encode(program.Color.RED)
    back = encode_whole(decode(stream))
    settle(None)
    monkeypatch.setattr("cloudpickle.cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID", {})
    with pytest.raises(LookupError, match="Color"):
        decode(back)


def test_local_functions_and_their_arrays(program):
    values = np.arange(BESIDE)
    stream, buffers = encode(lambda: values)
    assert decode(stream, buffers)()[3] == 3


def test_a_module_that_is_found_the_second_time(program):
    class Late:
        def __reduce__(self):
            return late, ()

    def late():
        return "found"

    asked = []

    def again():
        asked.append(1)
        return True

    calls = []

    def fails_once():
        calls.append(1)
        if len(calls) == 1:
            raise ModuleNotFoundError
        return "found"

    sys.modules[__name__].fails_once = fails_once
    fails_once.__qualname__ = "fails_once"
    try:
        Functions(again)
        assert decode(pickle.dumps(Calls(fails_once))) == "found"
        assert asked == [1]
    finally:
        del sys.modules[__name__].fails_once


class Calls:
    def __init__(self, function):
        self.function = function

    def __reduce__(self):
        return self.function, ()


def test_many_threads_at_once():
    found = []
    gate = threading.Barrier(6)

    def work(number):
        gate.wait()
        for step in range(100):
            value = ((number, step, np.full(BESIDE // 8, number)), {"f": lambda step=step: (number, step)})
            (a, b, zeros), kwargs = decode(*encode(value))
            found.append((a, b) == kwargs["f"]() == (number, step) and bool((zeros == number).all()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 600
