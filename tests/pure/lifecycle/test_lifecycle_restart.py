import itertools

import pytest

from rookery.lifecycle.exit import ExitStatus
from rookery.lifecycle.restart import MaxRestarts, RestartHistory, RestartPolicy, decide, decide_failed_start

CODES = [ExitStatus(code=0), ExitStatus(code=1), ExitStatus(code=3), ExitStatus(signal=9, signal_name="SIGKILL")]
UNKNOWN = ExitStatus()


def again(policy, history, *, exit_status=CODES[1], lifetime=0.0, now=0.0, random=lambda: 1.0):
    return decide(policy, history, exit_status, lifetime=lifetime, now=now, random=random)


@pytest.mark.parametrize(
    ("when", "ok", "expected"),
    [
        ("always", {0}, ["restart"] * 5),
        ("on-failure", {0}, ["exited", "restart", "restart", "restart", "restart"]),
        ("on-failure", {0, 3}, ["exited", "restart", "exited", "restart", "restart"]),
        ("on-failure", set(), ["restart"] * 5),
        ("never", {0}, ["exited"] * 5),
    ],
)
def test_which_exits_are_followed_by_a_restart(when, ok, expected):
    policy = RestartPolicy(when=when, ok_exit_codes=frozenset(ok))
    got = [again(policy, RestartHistory(), exit_status=status).action for status in [*CODES, UNKNOWN]]
    assert got == expected


def test_each_decision_says_why():
    assert "SIGKILL" in again(RestartPolicy(), RestartHistory(), exit_status=CODES[3]).why
    assert "restart = never" in again(RestartPolicy(when="never"), RestartHistory()).why
    assert "success" in again(RestartPolicy(when="on-failure"), RestartHistory(), exit_status=CODES[0]).why


def test_the_first_restart_after_a_stable_run_is_immediate_and_forgets_failures():
    history = RestartHistory()
    delays = [again(RestartPolicy(), history, lifetime=age).delay for age in (1, 1, 1, 10.0, 9.9, 1)]
    assert delays == [pytest.approx(one) for one in (0.1, 0.2, 0.4, 0.0, 0.1, 0.2)]


def test_a_fixed_restart_delay_replaces_the_backoff_and_holds_after_a_stable_run():
    policy = RestartPolicy(restart_delay=2.0)
    history = RestartHistory()
    assert [again(policy, history, lifetime=age).delay for age in (0, 0, 100)] == [2.0, 2.0, 2.0]


def test_more_restarts_than_allowed_within_the_window_are_fatal():
    policy = RestartPolicy(max_restarts=MaxRestarts(3, window=60))
    history = RestartHistory()
    got = [again(policy, history, now=now).action for now in (0, 10, 20, 30)]
    assert got == ["restart", "restart", "restart", "fatal"]
    assert again(policy, history, now=60).action == "fatal"
    assert again(policy, history, now=60.5).action == "restart"  # the first one has left the window
    assert "3 restarts within 60 s" in again(policy, history, now=61).why


def test_a_stable_run_does_not_empty_the_window():
    policy = RestartPolicy(max_restarts=MaxRestarts(1, window=60))
    history = RestartHistory()
    assert again(policy, history, now=0).action == "restart"
    assert again(policy, history, now=30, lifetime=30).action == "fatal"


def test_no_restart_allowed_means_fatal_at_once():
    assert again(RestartPolicy(max_restarts=MaxRestarts(0)), RestartHistory()).action == "fatal"


def test_an_exit_that_needs_no_restart_is_not_counted():
    history = RestartHistory()
    again(RestartPolicy(when="never"), history)
    again(RestartPolicy(when="on-failure"), history, exit_status=CODES[0])
    assert (history.failures, list(history.restarts)) == (0, [])


def test_reset_forgets():
    policy = RestartPolicy(max_restarts=MaxRestarts(1))
    history = RestartHistory()
    again(policy, history)
    assert again(policy, history).action == "fatal"
    history.reset()
    decision = again(policy, history)
    assert (decision.action, decision.delay) == ("restart", pytest.approx(0.1))


@pytest.mark.parametrize("limit", [None, MaxRestarts(10**9), MaxRestarts(3, window=0.5)])
def test_the_history_is_bounded(limit):
    history = RestartHistory()
    for now in range(3000):
        again(RestartPolicy(max_restarts=limit and MaxRestarts(min(limit.count, 1500), limit.window)), history, now=now)
    assert len(history.restarts) <= 1500


def test_a_limit_above_the_usual_length_of_the_history_is_reached():
    policy = RestartPolicy(max_restarts=MaxRestarts(1200, window=1e9))
    history = RestartHistory()
    actions = [again(policy, history, now=now).action for now in range(1201)]
    assert [action for action, _ in itertools.groupby(actions)] == ["restart", "fatal"]
    assert actions[-1] == "fatal"


@pytest.mark.parametrize(("when", "action"), [("always", "restart"), ("on-failure", "restart"), ("never", "fatal")])
def test_a_start_that_the_system_refused(when, action):
    history = RestartHistory()
    decision = decide_failed_start(RestartPolicy(when=when), history, "no memory", now=0.0, random=lambda: 1.0)
    assert decision.action == action
    assert decision.why.startswith("no memory")
    assert history.failures == (action == "restart")
