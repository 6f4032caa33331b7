"""Memory that is lent and given back; both sides in one process, with descriptors of their own."""

from __future__ import annotations

import gc
import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capabilities import needs_linux
from rookery._os import features
from rookery.errors import Disconnected, FrameError, UsageError
from rookery.pool.segments import memory as segments_memory
from rookery.pool.segments.lender import Borrower, Lender, plan
from rookery.pool.values.pickling import decode, encode

MIB = 1 << 20


@pytest.fixture
def lender():
    with Lender() as lender:
        yield lender


@pytest.fixture
def borrower():
    borrower = Borrower()
    yield borrower
    gc.collect()
    borrower.close()


def handed_over(lender, borrower, parts, receiver=None):
    """As two processes do: (the loan, what the receiver has)."""
    loan = lender.lend(parts, receiver)
    fd = os.dup(loan.fd)
    lender.sent(loan.number)
    return loan, borrower.take(borrower.borrow(loan.number, fd, loan.size), loan.offsets)


def give_back(lender, borrower):
    gc.collect()
    numbers = borrower.released()
    lender.give_back_all(numbers)
    return numbers


def test_parts_arrive(lender, borrower):
    parts = [b"stream", bytes(100_000), bytearray(b"x" * 33), b"", memoryview(b"abc"), np.arange(5.0).data]
    loan, views = handed_over(lender, borrower, parts)
    assert [bytes(view) for view in views] == [bytes(part) for part in parts]
    assert all(start % 64 == 0 for start, _ in loan.offsets)
    assert not any(view.readonly for view in views)
    assert (lender.lent, borrower.in_use) == (1, 1)


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_any_parts_arrive(parts):
    with Lender() as lender:
        borrower = Borrower()
        _, views = handed_over(lender, borrower, parts)
        assert [bytes(view) for view in views] == parts
        del views
        assert len(borrower.released()) == 1
        borrower.close()


def test_a_segment_is_used_again_when_nothing_refers_to_it(lender, borrower):
    first, views = handed_over(lender, borrower, [bytes(MIB)])
    one = views[0][5:10]
    del views
    assert give_back(lender, borrower) == []
    second, more = handed_over(lender, borrower, [bytes(MIB)])
    assert os.fstat(second.fd).st_ino != os.fstat(first.fd).st_ino
    del one
    assert give_back(lender, borrower) == [first.number]
    assert borrower.released() == []  # each is told once
    third, last = handed_over(lender, borrower, [bytes(MIB - 5)])
    assert os.fstat(third.fd).st_ino == os.fstat(first.fd).st_ino
    assert third.number != first.number
    del more, last
    assert set(give_back(lender, borrower)) == {second.number, third.number}
    assert lender.lent == 0


def test_an_array_that_is_kept_stays_as_it_is(lender, borrower):
    kept = []
    for number in range(20):
        stream, buffers = encode(np.full(MIB // 8, number, dtype="i8"))
        _, (first, *rest) = handed_over(lender, borrower, [stream, *buffers])
        array = decode(first, rest)
        if number % 5 == 0:
            kept.append((number, array[3:]))
        del first, rest, array
        give_back(lender, borrower)
    assert lender.lent == 4
    assert all((array == number).all() for number, array in kept)
    array = kept[0][1]
    array += 1  # it is the receiver's own
    lender.close()
    borrower.close()
    assert (array == 1).all()
    del array
    kept.clear()
    assert len(give_back(lender, borrower)) == 4


def test_a_late_answer_gives_nothing_back_that_another_has(lender, borrower):
    first, views = handed_over(lender, borrower, [bytes(MIB)])
    del views
    give_back(lender, borrower)
    second = lender.lend([bytes(MIB)])
    assert second.fd == first.fd
    lender.give_back(first.number)
    lender.give_back(12345)
    assert lender.lent == 1
    lender.give_back(second.number)
    assert lender.lent == 0


def test_a_receiver_that_is_gone(lender, borrower):
    other, _ = handed_over(lender, borrower, [bytes(MIB)], "other")
    gone, views = handed_over(lender, borrower, [b"x" * MIB], "gone")
    lender.forget("gone")
    assert lender.lent == 1
    fresh = lender.lend([b"y" * MIB], "new")
    assert fresh.number // (1 << 32) != gone.number // (1 << 32)
    assert bytes(views[0]) == b"x" * MIB  # whoever still sees it sees it as it was
    lender.give_back(gone.number)
    assert lender.lent == 2
    assert other.number != fresh.number


def test_a_receiver_that_goes_while_something_is_copied_for_it(lender, monkeypatch):
    real = lender._take

    def goes(need, receiver):
        taken = real(need, receiver)
        lender.forget("gone")
        return taken

    monkeypatch.setattr(lender, "_take", goes)
    with pytest.raises(Disconnected, match="gone"):
        lender.lend([b"x"], "gone")
    assert lender.lent == 0


def test_a_receiver_s_own_segment_comes_first(lender):
    loans = {name: lender.lend([bytes(MIB)], name) for name in ("a", "b", "c")}
    for loan in loans.values():
        lender.give_back(loan.number)
    assert lender.lend([bytes(MIB)], "b").fd == loans["b"].fd


@pytest.mark.parametrize(
    ("first", "second", "same"), [(MIB, MIB // 2, True), (MIB, MIB // 3, False), (MIB, 2 * MIB, False)]
)
def test_the_segment_that_fits(lender, first, second, same):
    loan = lender.lend([bytes(first)])
    lender.give_back(loan.number)
    assert (lender.lend([bytes(second)]).fd == loan.fd) is same


def test_what_is_kept_is_bounded():
    with Lender(keep=3 * MIB) as lender:
        loans = [lender.lend([bytes(MIB)]) for _ in range(10)]
        assert lender.kept == 0
        for loan in loans:
            lender.give_back(loan.number)
        assert lender.kept == 3 * MIB
        large = lender.lend([bytes(5 * MIB)])
        lender.give_back(large.number)
        assert lender.kept <= 3 * MIB


def test_the_number_of_descriptors_is_bounded(lender, borrower, monkeypatch):
    monkeypatch.setattr("rookery.pool.segments.lender._MOST_LENT", 8)
    monkeypatch.setattr("rookery.pool.segments.lender._MOST_FREE", 4)
    kept = [handed_over(lender, borrower, [bytes([number]) * 70_000])[1] for number in range(50)]
    assert lender.lent == 8
    unsent = [lender.lend([bytes(10)]) for _ in range(20)]
    assert lender.lent == 28  # these must stay: nobody has them yet
    assert [bytes(views[0]) for views in kept] == [bytes([number]) * 70_000 for number in range(50)]
    for loan in unsent:
        lender.give_back(loan.number)
    kept.clear()
    assert len(give_back(lender, borrower)) == 50
    assert lender.lent == 0
    assert len(lender._free) == 4


@needs_linux
def test_memory_goes_back_to_the_system_also_where_a_receiver_has_it_mapped(lender, borrower):
    loan, views = handed_over(lender, borrower, [b"x" * MIB])
    fd = os.dup(loan.fd)
    try:
        assert os.fstat(fd).st_blocks * 512 >= MIB
        lender.trim(100.0)
        del views
        give_back(lender, borrower)
        lender.trim(100.0)
        lender.trim(109.0)
        assert lender.kept
        lender.trim(110.0)
        assert lender.kept == 0
        assert os.fstat(fd).st_blocks == 0
    finally:
        os.close(fd)


def test_use_begins_the_time_anew(lender):
    loan = lender.lend([b"x"])
    lender.give_back(loan.number)
    lender.trim(0.0)
    lender.give_back(lender.lend([b"x"]).number)
    lender.trim(20.0)
    assert lender.kept
    lender.trim(40.0)
    assert not lender.kept


def test_a_known_segment_needs_no_descriptor(lender, borrower):
    loan, views = handed_over(lender, borrower, [b"first"])
    del views
    give_back(lender, borrower)
    again = lender.lend([b"again"])
    (view,) = borrower.take(borrower.borrow(again.number, None, again.size), again.offsets)
    assert bytes(view) == b"again"
    assert again.fd == loan.fd
    other = lender.lend([b"other"])
    with pytest.raises(FrameError, match="never came"):
        borrower.borrow(other.number, None, other.size)


def test_mappings_are_bounded(lender, borrower, monkeypatch):
    monkeypatch.setattr("rookery.pool.segments.borrower._MOST_MAPPED", 5)
    kept = [handed_over(lender, borrower, [bytes([number])])[1] for number in range(20)]
    assert len(borrower._mapped) == 5
    assert [bytes(views[0])[0] for views in kept] == list(range(20))


def test_descriptors_that_are_wrong(borrower, lender):
    loan = lender.lend([b"x" * 100])
    with pytest.raises(FrameError, match="announces"):
        borrower.borrow(loan.number, os.dup(loan.fd), loan.size + 1)
    with pytest.raises(FrameError, match="not within"):
        borrower.take(borrower.borrow(loan.number, os.dup(loan.fd), loan.size), [(loan.size - 1, 2)])
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("unsealed", os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, MIB)
        with pytest.raises(FrameError, match="could still be cut"):
            borrower.borrow(1 << 40, fd, MIB)


@needs_linux
def test_nobody_can_shorten_it(lender):
    loan = lender.lend([b"x"])
    with pytest.raises(PermissionError):
        os.ftruncate(loan.fd, 0)


def test_without_memfd(monkeypatch, tmp_path):
    monkeypatch.setenv("ROOKERY_WITHOUT", "memfd")
    monkeypatch.setattr("rookery.ipc.shared_names.folder", lambda: str(tmp_path / "shared"))
    features.forget()
    try:
        with Lender() as lender:
            borrower = Borrower()
            _, views = handed_over(lender, borrower, [b"stream", bytes(MIB)])
            assert [len(view) for view in views] == [6, MIB]
            assert not list(tmp_path.rglob("*data*"))  # no name is left for anybody to clean up
            del views
            assert give_back(lender, borrower)
            borrower.close()
    finally:
        features.forget()


def test_a_closed_lender(lender):
    loan = lender.lend([b"x"])
    lender.close()
    lender.close()
    lender.give_back(loan.number)
    lender.sent(loan.number)
    lender.forget(None)
    lender.trim(1.0)
    assert (lender.lent, lender.kept) == (0, 0)
    with pytest.raises(UsageError, match="closed"):
        lender.lend([b"x"])


def test_a_part_that_is_not_contiguous_leaves_nothing_lent(lender):
    with pytest.raises(TypeError):
        lender.lend([memoryview(b"abcdef")[::2]])
    assert lender.lent == 0


def test_a_copy_that_fails_leaves_nothing_lent(lender, monkeypatch):
    monkeypatch.setattr("rookery.pool.segments.lender._AT_ONCE", "nonsense")
    with pytest.raises(TypeError):
        lender.lend([b"x"])
    assert lender.lent == 0


@given(st.integers(1, 1 << 40))
def test_sizes_are_rounded_up_a_little(need):
    size = segments_memory.rounded(need)
    assert need <= size <= max(need * 9 // 8 + 1, segments_memory.SMALLEST)
    assert segments_memory.rounded(size) == size


@given(st.lists(st.integers(0, 1000)))
def test_parts_do_not_overlap(lengths):
    offsets, need = plan(lengths)
    end = 0
    for (start, length), wanted in zip(offsets, lengths, strict=True):
        assert start >= end
        assert length == wanted
        end = start + length
    assert need >= end


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_order_of_lending_and_giving_back(data):
    """Whatever is in use has the content that it was given, and nothing is ever lent twice at a time."""
    with Lender(keep=MIB) as lender:
        borrower = Borrower()
        held = {}
        for step in range(data.draw(st.integers(1, 25))):
            what = data.draw(st.sampled_from(["lend", "lend", "drop", "forget", "trim", "late"]))
            if what == "lend":
                content = bytes([step]) * data.draw(st.sampled_from([1, 70_000, 200_000, 900_000]))
                receiver = data.draw(st.sampled_from("ab"))
                loan, views = handed_over(lender, borrower, [content], receiver)
                held[loan.number] = content, views, receiver
            elif what == "drop" and held:
                held.pop(data.draw(st.sampled_from(sorted(held))))
                lender.give_back_all(borrower.released())
            elif what == "forget":
                lender.forget("a")
            elif what == "trim":
                lender.trim(20.0 * step)
            elif what == "late":
                lender.give_back_all([number - 1 for number in held])
            assert all(bytes(views[0]) == content for content, views, _ in held.values())
            assert lender.kept <= MIB
        held.clear()
        views = None
        borrower.close()


def test_many_threads_at_once(lender, borrower):
    wrong = []
    gate = threading.Barrier(6)

    def work(number):
        gate.wait()
        for step in range(60):
            content = bytes([number, step]) * (30_000 + 1000 * (step % 7))
            _, (view,) = handed_over(lender, borrower, [content], number)
            if bytes(view) != content:
                wrong.append((number, step))
            del view
            lender.give_back_all(borrower.released())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    give_back(lender, borrower)
    assert wrong == []
    assert lender.lent == borrower.in_use == 0


def test_a_fork_harms_nothing(lender, borrower):
    loan, views = handed_over(lender, borrower, [b"parent"])
    spare = lender.lend([b"spare" * 20_000])
    lender.give_back(spare.number)
    pid = os.fork()
    if pid == 0:
        try:
            lender.give_back(loan.number)
            lender.lend([b"child" * 20_000])
            lender.close()
            borrower.close()
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert bytes(views[0]) == b"parent"
    assert lender.lent == 1
    assert lender.lend([b"again" * 20_000]).fd == spare.fd
