"""The schedule gives each step its learning rate, picture size and epoch."""

import pytest

from pawline.training.schedule import Schedule, affordable_steps, batches_per_epoch, with_fitting_batch
from tests.recipes import PARAMS, some_recipe

TRAIN = some_recipe(learning_rate=0.8, warm_up=0.2, sizes=(0.5, 0.75, 1.0), batch_size=64)


def test_the_learning_rate_rises_linearly_and_falls_linearly_to_zero() -> None:
    schedule = Schedule(TRAIN, num_batches=10, num_steps=100)
    rates = {step: schedule.learning_rate(step) for step in (1, 10, 20, 60, 100)}
    assert rates == pytest.approx({1: 0.04, 10: 0.4, 20: 0.8, 60: 0.4, 100: 0.0})


def test_without_warm_up_the_learning_rate_starts_near_its_maximum() -> None:
    schedule = Schedule(TRAIN.model_copy(update={"warm_up": 0.0}), num_batches=10, num_steps=10)
    assert schedule.learning_rate(1) == pytest.approx(0.72)
    assert Schedule(TRAIN, num_batches=1, num_steps=1).learning_rate(1) == 0


def test_each_size_gets_an_equal_number_of_steps() -> None:
    schedule = Schedule(TRAIN, num_batches=10, num_steps=9)
    assert [schedule.picture_size(step, [32, 48, 64]) for step in range(1, 10)] == [32] * 3 + [48] * 3 + [64] * 3


def test_sizes_are_multiples_of_the_total_stride_within_the_picture() -> None:
    assert PARAMS.network.fast.picture_sizes(72, TRAIN.sizes) == [32, 48, 64]  # of 36, 54 and 72
    assert PARAMS.network.fast.picture_sizes(20, TRAIN.sizes) == [16, 16, 16]  # the network halves four times
    assert PARAMS.network.classic.picture_sizes(72, TRAIN.sizes) == [72]


def test_a_cut_plan_ends_whole_epochs_earlier_with_every_size_and_a_rate_of_zero() -> None:
    """30 of 90 steps are done; two epochs of ten are dropped, so 40 steps do what 60 would have done."""
    schedule = Schedule(TRAIN, num_batches=10, num_steps=90).changed(30, num_epochs=-2)
    assert (schedule.cuts, schedule.last_step) == (((30, 70),), 70)
    assert [schedule.picture_size(step, [32, 48, 64]) for step in (30, 31, 50, 51, 70)] == [32, 48, 48, 64, 64]
    # The rate falls from 0.8 at step 18 to 0 at step 90; step 50 takes the place of step 60.
    assert schedule.learning_rate(30) == pytest.approx(0.8 * 60 / 72)
    assert schedule.learning_rate(50) == pytest.approx(0.8 * 30 / 72)
    assert schedule.learning_rate(70) == 0
    again = schedule.changed(50, num_epochs=-1)  # ten steps left for the last 30 of the first plan
    assert (again.last_step, again.learning_rate(50), again.learning_rate(60)) == (
        60, pytest.approx(0.8 * 30 / 72), 0
    )  # fmt: skip
    assert again.learning_rate(55) == pytest.approx(0.8 * 15 / 72)


def test_a_plan_that_is_prolonged_takes_more_steps_for_the_same_course() -> None:
    schedule = Schedule(TRAIN, num_batches=10, num_steps=90).changed(30, num_epochs=3)  # 90 steps for the last 60
    assert schedule.last_step == 120
    assert [schedule.picture_size(step, [32, 48, 64]) for step in (30, 32, 75, 77, 120)] == [32, 48, 48, 64, 64]
    assert schedule.learning_rate(75) == pytest.approx(0.8 * 30 / 72)  # the place of step 60
    assert schedule.learning_rate(120) == 0


def test_a_plan_that_is_prolonged_while_the_rate_rises_has_more_warm_up_epochs() -> None:
    plan = Schedule(TRAIN, num_batches=10, num_steps=90)  # a fifth of them, 18 steps
    assert (plan.num_warm_up_epochs(), plan.changed(10, num_epochs=8).num_warm_up_epochs()) == (2, 3)


def test_a_plan_that_is_not_cut_has_the_same_rates_to_the_last_bit() -> None:
    schedule = Schedule(TRAIN, num_batches=7, num_steps=97)
    assert [schedule.learning_rate(step) for step in range(20, 98)] == [
        0.8 * (97 - step) / (97 - 0.2 * 97) for step in range(20, 98)
    ]


def test_num_pixels_counts_the_pixels_of_all_batches() -> None:
    schedule = Schedule(TRAIN, num_batches=10, num_steps=4)
    assert schedule.num_pixels(range(1, 5), [32, 48]) == 64 * (2 * 32 * 32 + 2 * 48 * 48)


@pytest.mark.parametrize(("warm_up", "epochs"), [(0.0, 0), (0.2, 2), (0.21, 3)])
def test_warm_up_epochs_are_those_in_which_the_rate_rises(warm_up: float, epochs: int) -> None:
    schedule = Schedule(TRAIN.model_copy(update={"warm_up": warm_up}), num_batches=10, num_steps=100)
    assert schedule.num_warm_up_epochs() == epochs


def test_an_epoch_ends_after_its_batches_or_at_the_last_step() -> None:
    schedule = Schedule(TRAIN, num_batches=4, num_steps=10)
    assert [schedule.epoch(step) for step in (1, 4, 5, 10)] == [1, 1, 2, 3]
    assert [schedule.number_in_epoch(step) for step in (1, 4, 5, 10)] == [1, 4, 1, 2]


def test_a_time_budget_pays_for_steps_and_validation() -> None:
    # A step takes 1 or 3 s, on average 2 s, plus half a second of its epoch's validation.
    assert affordable_steps(100, [1, 3], num_batches=4, validation_seconds=2) == 40
    assert affordable_steps(-5, [1], num_batches=4, validation_seconds=2) < 1


def test_a_batch_larger_than_the_train_part_shrinks_to_it() -> None:
    assert batches_per_epoch(TRAIN, 130) == 2
    for num_images, batch_size in ((130, 64), (64, 64), (63, 63), (2, 2), (1, 1)):
        fitting = with_fitting_batch(TRAIN, num_images)
        assert fitting.batch_size == batch_size
        assert batches_per_epoch(fitting, num_images) == num_images // batch_size
    assert with_fitting_batch(TRAIN, 64) == TRAIN
