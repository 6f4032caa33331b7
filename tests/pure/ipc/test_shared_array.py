"""A shared array as one process sees it."""

from __future__ import annotations

import array
import os
import pickle
import sys
from types import SimpleNamespace

import pytest

from rookery import SharedArray
from rookery._os import features, machine
from rookery.errors import SharedMemoryError, UsageError
from rookery.ipc import shared_header, shared_names, shared_segment


@pytest.fixture(params=["", "memfd"])
def backing(request, monkeypatch):
    """With memory that has no name, and with files."""
    monkeypatch.setenv(features.WITHOUT, request.param)
    features.forget()
    yield request.param
    features.forget()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The real one may hold what other programs make."""
    place = str(tmp_path / "names")
    monkeypatch.setattr(shared_names, "folder", lambda: place)


@pytest.fixture
def numbers():
    with SharedArray("int32", 5) as made:
        made[:] = [1, 2, 3, 4, 5]
        yield made


def test_elements(numbers):
    numbers[0] = -7
    numbers[-1] = 9
    assert (numbers[0], numbers[4], len(numbers), numbers.code, numbers.shape) == (-7, 9, 5, "i", (5,))
    assert list(numbers) == numbers.tolist() == [-7, 2, 3, 4, 9]
    assert "int" not in repr(numbers)
    assert "(5,)" in repr(numbers)


def test_it_begins_with_zeros():
    with SharedArray("float64", 1000) as made:
        assert not any(made)


def test_slices(numbers):
    part = numbers[1:3]
    part[0] = 20
    assert numbers.tolist() == [1, 20, 3, 4, 5]
    numbers[3:] = array.array("i", [40, 50])
    numbers[0:3:2] = (n * 10 for n in (1, 3))
    assert numbers.tolist() == [10, 20, 30, 40, 50]


def test_dimensions():
    with SharedArray("uint8", (2, 3)) as made:
        made[1, 2] = 200
        assert made.tolist() == list(made) == [[0, 0, 0], [0, 0, 200]]
        assert made.view.shape == (2, 3)
        with pytest.raises(TypeError, match="2 integers; for parts of it use numpy"):
            made[1]
        with pytest.raises(IndexError, match="out of range"):
            made[2, 0]


@pytest.mark.parametrize(
    ("index", "value", "error", "words"),
    [
        (5, 1, IndexError, "index 5 is out of range"),
        (-6, 1, IndexError, "index -6 is out of range"),
        ("a", 1, TypeError, "'a'"),
        (0, 1 << 31, ValueError, "2147483648 at 0 does not fit into an array of 'i'"),
        (0, 1.5, TypeError, "1.5 at 0 does not fit"),
        (0, "x", TypeError, "'x' at 0"),
        (slice(0, 2), [1], ValueError, "does not fit"),
        (slice(0, 2), [1, 2.5], ValueError, "integer"),
        (slice(0, 2), array.array("d", [1, 2]), ValueError, "structures"),
    ],
)
def test_what_does_not_fit(numbers, index, value, error, words):
    with pytest.raises(error, match=words):
        numbers[index] = value
    assert numbers.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("index", [5, -6])
def test_bounds(numbers, index):
    with pytest.raises(IndexError, match=f"index {index} is out of range"):
        numbers[index]


def test_long_and_int64_are_the_same_here():
    with SharedArray("int64", 2) as made:
        made[:] = array.array("q", [1, 2])
        made[:] = array.array("l", [3, 4])
        assert made.tolist() == [3, 4]


def test_a_view_outlives_the_array():
    made = SharedArray("int64", 2)
    view = made.view
    made.close()
    view[0] = 5
    assert view[0] == 5


def test_closed(numbers):
    atomics = numbers.atomics
    numbers.close()
    numbers.close()
    for use in (
        lambda: numbers[0],
        lambda: numbers.view,
        lambda: numbers.atomics,
        numbers.fileno,
        lambda: pickle.dumps(numbers),
        lambda: atomics.add(0, 1),
        lambda: atomics.compare_exchange(0, 1, 2),
        lambda: atomics.wait(0, 1),
    ):
        with pytest.raises(UsageError, match="closed"):
            use()
    assert "closed" in repr(numbers)


def test_what_is_dropped_is_freed(backing):
    before = os.listdir("/proc/self/fd")
    SharedArray("int64", 5, name="dropped")
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert not os.path.exists(shared_names.folder())


def test_by_pickle(backing):
    with SharedArray("int32", 3) as made, pickle.loads(pickle.dumps(made)) as other:
        other[1] = 8
        other.atomics.add(1, 1)
        assert made.tolist() == [0, 9, 0]
        with pickle.loads(pickle.dumps(other)) as third:
            assert third.tolist() == [0, 9, 0]


def test_a_pickle_whose_array_is_closed(backing):
    with SharedArray("int32", 3) as made:
        packed = pickle.dumps(made)
    with (
        open(os.devnull),
        pytest.raises(SharedMemoryError, match="not there any more"),
    ):  # takes the descriptor's number
        pickle.loads(packed)


def test_a_process_that_has_the_pid_of_another():
    with SharedArray("int32", 3) as made:
        address = shared_segment.address_of(made.fileno(), "")
        assert SharedArray.at(address).tolist() == [0, 0, 0]
        with pytest.raises(SharedMemoryError, match="not there any more"):
            SharedArray.at(address._replace(started=address.started + 1))


def test_by_descriptor(backing):
    with SharedArray("int32", 3) as made, SharedArray.from_fd(made.fileno()) as other:
        other[0] = 4
        assert made[0] == 4
        assert not os.get_inheritable(other.fileno())


def test_by_name(backing):
    with SharedArray("int32", (1, 3), name="by.name-1") as made:
        place = os.stat(shared_names.folder())
        entry = os.stat(os.path.join(shared_names.folder(), "by.name-1"))
        assert (place.st_mode & 0o777, entry.st_mode & 0o777) == (0o700, 0o600)
        with SharedArray.attach("by.name-1") as other:
            other[0, 2] = 4
            assert (made[0, 2], other.shape, other.name) == (4, (1, 3), "by.name-1")
        with pytest.raises(SharedMemoryError, match="already") as caught:
            SharedArray("int32", 3, name="by.name-1")
        assert f"process {os.getpid()}" in str(caught.value)
        assert SharedArray.attach("by.name-1")[0, 2] == 4  # whoever attached, or failed, leaves the name alone
    with pytest.raises(SharedMemoryError, match="no shared array named"):
        SharedArray.attach("by.name-1")
    assert not os.path.exists(shared_names.folder())


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a" * 101, 5, "a\n"])
def test_what_is_no_name(name):
    with pytest.raises(UsageError, match="cannot be the name"):
        SharedArray("int32", 3, name=name)
    with pytest.raises(UsageError, match="cannot be the name"):
        SharedArray.attach(name)


def test_more_than_the_machine_has(monkeypatch):
    monkeypatch.setattr(machine, "memory", lambda: (1 << 20, 1 << 20))
    with pytest.raises(SharedMemoryError, match="1048576 bytes of memory"):
        SharedArray("uint8", 1 << 20)


def test_a_failed_start_leaves_nothing(backing, monkeypatch):
    monkeypatch.setattr(shared_header.Header, "write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        SharedArray("uint8", 100, name="failed")
    assert not os.path.exists(shared_names.folder())


def _damage(change):
    with SharedArray("int32", 3) as made:
        with SharedArray.from_fd(made.fileno()) as page:
            block = bytearray(page._memory[: shared_header.SIZE])
            change(block)
            page._memory[: shared_header.SIZE] = bytes(block)
        return SharedArray.from_fd(made.fileno())


DAMAGES = {
    "no shared array": lambda block: block.__setitem__(0, 1),
    "of version 9": lambda block: block.__setitem__(8, 9),
    "contradicts itself": lambda block: block.__setitem__(slice(56, 64), b"\xff" * 8),
    "the C library": lambda block: block.__setitem__(slice(16, 24), b"musl64\0\0"),
    "pid namespace": lambda block: block.__setitem__(slice(24, 32), b"\1" * 8),
}


@pytest.mark.parametrize("words", DAMAGES)
def test_a_first_page_that_is_not_for_us(words):
    with pytest.raises(SharedMemoryError, match=words):
        _damage(DAMAGES[words])


def test_a_descriptor_that_is_something_else(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 10000)
    with open(tmp_path / "file", "r+b") as file, pytest.raises(SharedMemoryError, match="no shared array"):
        SharedArray.from_fd(file.fileno())
    reader, writer = os.pipe()
    with pytest.raises(SharedMemoryError, match="no shared array"):
        SharedArray.from_fd(reader)
    os.close(reader)
    os.close(writer)
    with pytest.raises(SharedMemoryError, match="no shared array"):
        SharedArray.from_fd(reader)


def test_nobody_can_shorten_the_memory():
    with SharedArray("int32", 3) as made, pytest.raises(PermissionError):
        os.ftruncate(made.fileno(), 0)


def test_numpy_gets_the_memory_itself(numbers, monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", SimpleNamespace(asarray=lambda given: given))
    numbers.numpy()[0] = 77
    assert numbers[0] == 77


def test_without_numpy(numbers, monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(UsageError, match="needs NumPy") as caught:
        numbers.numpy()
    assert "pip install numpy" in caught.value.hint
