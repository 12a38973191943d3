"""The temperature makes probabilities mean what they say, and is the same number whoever fits it."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import softmax

from pawline.card import Card
from pawline.temperature import HIGHEST, LOWEST, fit_temperature


def drawn(temperature: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(logits), and logits that are `temperature` times too large."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (count, 3))
    chances = softmax(logits, axis=1).cumsum(axis=1)
    labels = (rng.random((count, 1)) > chances).sum(axis=1)
    return labels.astype(np.int64), (logits * temperature).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_logits_that_are_too_large_are_divided_by_as_much(temperature: float) -> None:
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_is_where_the_slope_of_the_loss_is_zero() -> None:
    """Two classes, each logit ±1, 80 of 100 right. With Platt's targets the best probability is the mean target, and
    1 / (1 + exp(-2 / T)) reaches it."""
    labels = np.zeros(100, np.int64)
    labels[::2] = 1
    logits = np.where(np.arange(2) == labels[:, None], 1.0, -1.0).astype(np.float32)
    logits[:20] *= -1
    target = 0.8 * 101 / 102 + 0.2 / 102
    expected = brentq(lambda t: 1 / (1 + np.exp(-2 / t)) - target, 0.1, 10)
    assert fit_temperature(labels, logits) == pytest.approx(expected, abs=6e-4)


def test_answers_that_are_all_right_do_not_become_certain() -> None:
    labels = np.arange(60) % 2
    logits = (2 * np.eye(2)[labels]).astype(np.float32)
    temperature = fit_temperature(labels, logits)
    assert LOWEST < temperature < 1
    assert softmax(logits / temperature, axis=1).max() == pytest.approx(61 / 62, abs=1e-3)


def test_the_number_is_short_and_within_bounds() -> None:
    labels, logits = drawn(3.0, 200)
    found = fit_temperature(labels, logits)
    assert found == round(found, 3)
    assert fit_temperature(labels, 1e4 * logits) == pytest.approx(HIGHEST, abs=1e-2)
    # Other rounding of the network, such as on another machine, changes nothing.
    assert fit_temperature(labels, logits * np.float32(1 + 1e-7)) == found


def test_too_few_pictures_or_one_class_leave_the_network_as_it_is() -> None:
    labels, logits = drawn(3.0, 19)
    assert fit_temperature(labels, logits) == 1.0
    assert fit_temperature(np.zeros(100, np.int64), np.ones((100, 3), np.float32)) == 1.0
    assert fit_temperature(np.zeros(0, np.int64), np.zeros((0, 3), np.float32)) == 1.0


def test_a_card_of_before_has_the_temperature_one() -> None:
    assert Card.model_fields["temperature"].default == 1.0
