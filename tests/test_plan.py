"""A budget of minutes is kept: the plan counts loading and saving, and changes with the speed of the machine."""

from dataclasses import replace

import pytest

from pawline.training.plan import FINISH_SECONDS, KEPT_SECONDS, Budget, Watch
from pawline.training.schedule import Schedule
from tests.recipes import PARAMS, some_recipe

NOW = 2e9
SCHEDULE = Schedule(some_recipe(warm_up=0.0), num_batches=10, num_steps=80)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pawline.training.plan.time.time", lambda: NOW)


def watch(gone: float, sides: tuple[int, ...] = (48,), seconds: tuple[float, ...] = (1.0,)) -> Watch:
    """The watch of a budget of 100 s, of which so many are gone; a validation takes no time."""
    return Watch(Budget(100, NOW - gone), list(sides), list(seconds), 0.0)


def test_loading_and_saving_count() -> None:
    assert Budget(100, NOW - 30).seconds_left == 100 - 30 - FINISH_SECONDS


def test_kept_epochs_count_and_a_frozen_network_has_no_budget() -> None:
    asked = some_recipe(minutes=2.0, keep_epochs=8)
    budget = Budget.of(asked, PARAMS.network, NOW - 30) or pytest.fail("by minutes")
    assert budget.seconds_left == 120 - 30 - FINISH_SECONDS - 8 * KEPT_SECONDS
    frozen = PARAMS.network.model_copy(update={"name": "pretrained"})
    assert Budget.of(asked, frozen, NOW) is None
    assert Budget.of(some_recipe(minutes=2.0, steps=9), PARAMS.network, NOW) is None


@pytest.mark.parametrize(
    ("gone", "step", "seconds", "change"),
    [
        (20, 20, 20, 0),  # as planned: 10 s to save and 60 s of steps are left, which makes 90
        (40, 20, 20, 0),  # 40 + 10 + 60 s: exactly a tenth too late
        (41, 20, 20, -1),  # an epoch of 10 s brings 111 to 101
        (40, 20, 40, -2),  # twice as slow: 40 + 10 + 120 s; three epochs of 20 s would bring it to 110
        (60, 20, 20, -2),  # 130 s: three epochs of 10 s are due
        (45, 40, 80, -1),  # 135 s: 1.75 epochs of 20 s above the budget, and two above what may be late
        (95, 50, 500, -2),
        (95, 70, 70, 0),  # one is due, but the next epoch stays, whatever it costs
        (95, 20, 200, -3),  # six epochs are due
        (10, 20, 20, 1),  # 80 s: two epochs of 10 s are missing
        (20, 20, 10, 4),  # twice as fast: 20 + 10 + 30 s; eight epochs of 5 s fit, half of them now
        (19.9, 20, 20, 1),  # 89.9 s
    ],
)
def test_half_of_the_epochs_that_are_due_change_where_the_end_is_ten_seconds_off(
    gone: float, step: int, seconds: float, change: int
) -> None:
    assert watch(gone).change(SCHEDULE, 1, step, seconds) == change


@pytest.mark.parametrize(("gone", "change"), [(640, 0), (639, 1), (740, 0), (741, -1)])
def test_long_budgets_are_kept_within_a_twentieth(gone: float, change: int) -> None:
    """The other steps need 300 of 1,000 s, saving 10, an epoch 50."""
    long = replace(watch(0, seconds=(5.0,)), budget=Budget(1000, NOW - gone))
    assert long.change(SCHEDULE, 1, 20, 100) == change


def test_a_machine_of_another_speed_than_measured_ends_in_time_after_a_few_looks() -> None:
    """Epochs of 10 s as planned; at twice and half of that, a training of 90 s ends between 90 and 110."""
    for slowness in (2.0, 0.5):
        schedule, step = SCHEDULE, 0
        while step < schedule.last_step:
            step += 10
            if step < schedule.last_step:
                change = watch(slowness * step).change(schedule, 1, step, slowness * step)
                schedule = schedule.changed(step, change) if change else schedule
        assert 90 <= slowness * step + FINISH_SECONDS <= 110


def test_a_steady_machine_is_told_of_few_changes() -> None:
    """800 short epochs, a fifth slower than planned: a line at each look would hide all others."""
    schedule, step, changes = replace(SCHEDULE, num_steps=800, num_batches=1), 0, 0
    short = watch(0, seconds=(0.1,))
    while step < schedule.last_step:
        step += 10
        now = replace(short, budget=Budget(100, NOW - 0.12 * step))
        if step < schedule.last_step and (change := now.change(schedule, 1, step, 0.12 * step)):
            schedule, changes = schedule.changed(step, change), changes + 1
    assert changes <= 2
    assert 90 <= 0.12 * step + FINISH_SECONDS <= 110


def test_steps_on_small_pictures_are_not_taken_for_a_slow_machine() -> None:
    """40 steps of half a second and 40 of two: after the first 40, 80 s are left, not 20."""
    both = watch(30, (32, 64), (0.5, 2.0))
    assert both.change(SCHEDULE, 1, 40, 20) == -1  # 30 + 10 + 80 s are 120; an epoch takes 20


def test_a_change_counts_the_steps_that_are_left_of_the_plan() -> None:
    cut = SCHEDULE.changed(20, num_epochs=-3)
    assert cut.last_step == 50
    assert watch(60).change(cut, 1, 20, 20) == 0  # 60 + 10 + 30 s
    assert watch(75).change(cut, 1, 20, 20) == -1  # 115 s
