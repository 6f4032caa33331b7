import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery._os.linux import ProcessFacts
from rookery.process.tree import CookieIndex, ProcessTree, descendants

COOKIE = "aaaaaaaa:web:1"
OTHER = "aaaaaaaa:api:1"


@pytest.fixture
def leader(table):
    return table.add(10, cookie=COOKIE)


@pytest.fixture
def tree(leader):
    return ProcessTree(*leader, COOKIE, index=CookieIndex())


def test_the_leader_is_first(table, leader, tree):
    first = table.add(5, 10, session=10)
    assert tree.members() == [leader, first]


@pytest.mark.parametrize(
    ("how", "belongs"),
    [
        ({"ppid": 10}, True),
        ({"ppid": 10, "cookie": OTHER}, True),
        ({"ppid": 1, "session": 10}, True),
        ({"ppid": 1, "cookie": COOKIE}, True),
        ({"ppid": 1}, False),
        ({"ppid": 1, "cookie": OTHER}, False),
        ({"ppid": 1, "cookie": "aaaaaaaa:web:2"}, False),
        ({"ppid": 1, "session": 10, "start_time": 1}, False),  # older than the leader: an earlier owner of the number
        ({"ppid": 10, "start_time": 1}, False),
    ],
)
def test_who_belongs(table, leader, tree, how, belongs):
    other = table.add(20, **how)
    assert (other in tree.members()) is belongs


def test_what_descends_from_a_runaway_belongs_too(table, leader, tree):
    runaway = table.add(20, 1, cookie=COOKIE)
    below = table.add(21, 20, cookie=None)
    assert set(tree.members()) == {leader, runaway, below}


def test_who_was_seen_belongs_after_losing_every_mark(table, leader, tree):
    child = table.add(20, 10, cookie=None)  # env -i setsid ...
    assert child in tree.members()
    table.end(10)
    assert tree.members() == [child]
    grandchild = table.add(21, 20)
    assert set(tree.members()) == {child, grandchild}


def test_a_pid_that_was_used_again_does_not_belong(table, leader, tree):
    child = table.add(20, 10)
    assert child in tree.members()
    table.end(20)
    table.add(20, 1)
    assert tree.members() == [leader]


def test_a_leader_whose_pid_was_used_again_is_gone_with_its_session(table, leader, tree):
    table.end(10)
    table.add(10, 1)
    table.add(11, 10, session=10)
    assert tree.members() == []


def test_a_session_that_was_empty_once_is_somebody_elses_later(table, leader, tree):
    table.add(20, 1, session=10)
    table.end(10)
    assert len(tree.members()) == 1
    table.end(20)
    assert tree.members() == []
    table.add(10, 1)  # the number is used again, and its new leader is gone before we look
    table.add(30, 10, session=10)
    table.end(10)
    assert tree.members() == []


def test_a_session_is_held_by_whoever_is_in_it(table, leader, tree):
    child = table.add(20, 1, session=10)
    table.end(10)
    assert tree.members() == [child]
    later = table.add(21, 1, session=10)
    assert set(tree.members()) == {child, later}


def test_a_leader_without_a_session_of_its_own_has_no_session_mark(table):
    leader = table.add(10, 1, session=3)
    tree = ProcessTree(*leader, COOKIE, index=CookieIndex())
    assert tree.members() == [leader]
    table.end(10)
    table.add(40, 1, session=10)
    assert tree.members() == []


def test_without_a_cookie_nothing_is_found_by_cookie(table):
    leader = table.add(10, 1)
    table.add(20, 1, cookie="")
    table.add(21, 1, cookie=None)
    assert ProcessTree(*leader, "", index=CookieIndex()).members() == [leader]


def test_no_cookie_is_final_only_when_the_process_is_settled(table):
    # Between fork and exec a process shows its parent's environment.
    index = CookieIndex()
    _, started = table.add(20, cookie=None)
    table.now = started
    assert index.cookie(table.rows[20]) is None
    table.cookies[20] = COOKIE
    assert index.cookie(table.rows[20]) == COOKIE
    table.cookies[20] = OTHER
    assert index.cookie(table.rows[20]) == COOKIE  # read once


def test_the_index_is_bounded(table, monkeypatch):
    monkeypatch.setattr("rookery.process.tree._CACHE_LIMIT", 10)
    index = CookieIndex()
    for pid in range(100, 150):
        table.add(pid, cookie=COOKIE)
        index.cookie(table.rows[pid])
    index.forget_all_but([(149, table.rows[149].start_time)])
    assert len(index._known) == 1


@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.integers(0, 12), st.integers(0, 3)), max_size=15, unique_by=lambda r: r[0]
    )
)
def test_any_table_gives_the_living_descendants_and_ends(rows):
    # Torn tables may hold circles and parents younger than their children.
    table = [ProcessFacts(pid, ppid, pid, pid, "S", started, 0, 0, "x") for pid, ppid, started in rows]
    alive = {(one.pid, one.start_time): one for one in table}
    found = descendants(table, (1, 0), set())
    assert found <= alive.keys()
    assert ((1, 0) in found) == ((1, 0) in alive)
    by_pid = {one.pid: one for one in table}
    for pid, started in found - {(1, 0)}:
        parent = by_pid[alive[pid, started].ppid]
        assert (parent.pid, parent.start_time) in found
        assert started >= parent.start_time
