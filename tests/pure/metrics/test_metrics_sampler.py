import pytest

from rookery._os import kernel
from rookery.metrics.sampler import Root, Sampler, tree_of
from rookery.process.tree import CookieIndex

WEB, API = "aaaaaaaa:web:1", "aaaaaaaa:api:1"
COOKIES = {WEB: "web", API: "api"}
TICKS = kernel.TICKS_PER_SECOND


@pytest.fixture
def sampler():
    return Sampler(CookieIndex().cookie)


@pytest.fixture
def roots(table):
    return {
        "web": Root(*table.add(10, cookie=WEB, rss_pages=100)),
        "api": Root(*table.add(11, cookie=API, rss_pages=10)),
    }


def counted(usage):
    return {key: (one.processes, one.memory // kernel.PAGE_SIZE) for key, one in usage.items()}


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], {"web": (1, 100), "api": (1, 10)}),
        ([(20, 10, None), (21, 20, None)], {"web": (3, 102), "api": (1, 10)}),
        ([(20, 1, WEB)], {"web": (2, 101), "api": (1, 10)}),
        ([(21, 1, WEB), (20, 21, None)], {"web": (3, 102), "api": (1, 10)}),  # the runaway's child has a lower pid
        ([(20, 1, "aaaaaaaa:web:7")], {"web": (1, 100), "api": (1, 10)}),
        ([(20, 1, None), (21, 20, None)], {"web": (1, 100), "api": (1, 10)}),
        ([(20, 10, API)], {"web": (1, 100), "api": (2, 11)}),  # its own mark is nearer than its parent's
        ([(20, 21, None), (21, 20, None)], {"web": (1, 100), "api": (1, 10)}),  # a torn table with a circle
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_each_process_is_counted_where_it_belongs(table, sampler, roots, others, expected, reverse):
    for pid, ppid, cookie in others:
        table.add(pid, ppid, cookie=cookie, rss_pages=1)
    if reverse:
        table.rows = dict(reversed(table.rows.items()))
    assert counted(sampler.sample(roots, COOKIES, 0.0)) == expected


def test_a_root_inside_a_tree_is_counted_for_itself(table, sampler, roots):
    inner = Root(*table.add(30, 10, rss_pages=5))
    table.add(31, 30, rss_pages=1)
    usage = sampler.sample({**roots, "inner": inner}, {}, 0.0)
    assert counted(usage) == {"web": (1, 100), "api": (1, 10), "inner": (2, 6)}


def test_a_root_whose_pid_was_used_again_has_nothing(table, sampler, roots):
    table.end(10)
    table.add(10, rss_pages=999)
    assert counted(sampler.sample(roots, COOKIES, 0.0))["web"] == (0, 0)


def test_cpu_is_none_first_and_then_percent_of_one_core_of_the_whole_tree(table, sampler, roots):
    table.add(20, 10, cpu_ticks=7 * TICKS)
    assert sampler.sample(roots, COOKIES, 100.0)["web"].cpu is None
    table.change(10, cpu_ticks=1 * TICKS)
    table.change(20, cpu_ticks=9 * TICKS)
    usage = sampler.sample(roots, COOKIES, 102.0)
    assert (usage["web"].cpu, usage["api"].cpu) == (pytest.approx(150.0), pytest.approx(0.0))


def test_what_is_new_counts_from_its_start(table, sampler, roots):
    sampler.sample(roots, COOKIES, 100.0)
    _, started = table.add(20, 10, cpu_ticks=1 * TICKS)
    table.now = started + 2 * TICKS
    assert sampler.sample(roots, COOKIES, 102.0)["web"].cpu == pytest.approx(50.0)


def test_what_is_old_and_found_late_does_not_count_its_whole_life(table, sampler, roots):
    sampler.sample(roots, COOKIES, 100.0)
    adopted = Root(*table.add(30, cpu_ticks=10**6))
    assert sampler.sample({**roots, "old": adopted}, COOKIES, 102.0)["old"].cpu == 0.0
    table.change(30, cpu_ticks=10**6 + TICKS)
    assert sampler.sample({**roots, "old": adopted}, COOKIES, 104.0)["old"].cpu == pytest.approx(50.0)


def test_two_samples_in_the_same_moment(sampler, roots):
    sampler.sample(roots, COOKIES, 100.0)
    assert sampler.sample(roots, COOKIES, 100.0)["web"].cpu is None


def test_what_is_gone_is_forgotten(table, sampler, roots):
    table.add(20, 10)
    sampler.sample(roots, COOKIES, 100.0)
    table.end(20)
    sampler.sample(roots, COOKIES, 101.0)
    assert {pid for pid, _ in sampler._ticks} == {10, 11}


def test_the_tree_below_a_root_parents_first(table, roots):
    table.add(21, 20)
    table.add(20, 10)
    assert [process.pid for process in tree_of(roots["web"])] == [10, 20, 21]
    assert tree_of(Root(10, 1)) == []
