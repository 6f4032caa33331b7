import pytest

from rookery.lifecycle.exit import ExitStatus
from rookery.lifecycle.stop import KILL_WAIT, Step, StopPlan

SWEEP = Step(9, "tree", KILL_WAIT)


@pytest.mark.parametrize(
    ("plan", "steps"),
    [
        (StopPlan(), (Step(15, "tree", 5.0), SWEEP)),
        (StopPlan(signal=2, graceful_timeout=30, scope="leader"), (Step(2, "leader", 30), SWEEP)),
        (StopPlan(signal=9, graceful_timeout=30), (SWEEP,)),
        (StopPlan(graceful_timeout=0), (Step(15, "tree", 0), SWEEP)),
    ],
)
def test_the_steps_of_a_plan(plan, steps):
    assert plan.steps() == steps


@pytest.mark.parametrize("plan", [StopPlan(), StopPlan(signal=9), StopPlan(scope="leader")])
def test_every_plan_ends_with_sigkill_to_the_whole_tree(plan):
    assert plan.steps()[-1] == SWEEP


@pytest.mark.parametrize(
    ("returncode", "status", "text"),
    [
        (0, ExitStatus(code=0), "exited with code 0"),
        (255, ExitStatus(code=255), "exited with code 255"),
        (-9, ExitStatus(signal=9, signal_name="SIGKILL"), "killed by SIGKILL"),
        (-7, ExitStatus(signal=7, signal_name="SIGBUS"), "killed by SIGBUS"),
        (-99, ExitStatus(signal=99, signal_name="signal 99"), "killed by signal 99"),
        (None, ExitStatus(), "ended, nobody saw how"),
    ],
)
def test_an_exit_from_a_return_code_and_back(returncode, status, text):
    assert ExitStatus.from_returncode(returncode) == status
    assert status.returncode == returncode
    assert str(status) == text


def test_a_signal_without_a_name_is_named():
    assert str(ExitStatus(signal=15)) == "killed by SIGTERM"
