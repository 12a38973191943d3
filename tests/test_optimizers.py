"""The fused updates equal those of Keras, and Muon orthogonalizes."""

import numpy as np
import pytest

from pawline.model.backend import keras, tf
from pawline.training.optimizers import FusedAdamW, FusedSGD, build_optimizer, orthogonalized
from tests.recipes import some_recipe

SGD = {"momentum": 0.9, "nesterov": True}


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [(FusedSGD, keras.optimizers.SGD, SGD), (FusedAdamW, keras.optimizers.AdamW, {})],
)
def test_fused_updates_equal_those_of_keras(
    ours: type[keras.optimizers.Optimizer], theirs: type[keras.optimizers.Optimizer], options: dict[str, object]
) -> None:
    rng = np.random.default_rng(1)
    start, gradients = rng.normal(size=(7, 5)), rng.normal(size=(20, 7, 5))

    def end(kind: type[keras.optimizers.Optimizer]) -> np.ndarray:
        optimizer, weight = kind(0.1, weight_decay=0.01, **options), keras.Variable(start, dtype="float32")
        optimizer.build([weight])
        step = tf.function(lambda gradient: optimizer.apply([gradient], [weight]))
        for number, gradient in enumerate(gradients):
            optimizer.learning_rate.assign(0.1 / (1 + number))
            step(tf.constant(gradient, tf.float32))
        return keras.ops.convert_to_numpy(weight)

    ends = [end(ours), end(theirs)]
    np.testing.assert_allclose(*ends, rtol=1e-5, atol=1e-6)
    assert np.abs(ends[0] - start).max() > 0.1


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_only_kernels_decay(name: str) -> None:
    optimizer = build_optimizer(some_recipe(optimizer=name, weight_decay=0.5))
    weights = [keras.Variable(np.ones(3, np.float32), name=name) for name in ("kernel", "bias", "gamma", "beta")]
    optimizer.build(weights)
    optimizer.learning_rate.assign(0.1)
    optimizer.apply([tf.zeros(3)] * 4, weights)
    values = [float(keras.ops.convert_to_numpy(weight)[0]) for weight in weights]
    assert values == pytest.approx([0.95, 1, 1, 1])


@pytest.mark.parametrize("shape", [(36, 8), (8, 36), (9, 9)])
def test_an_orthogonalized_matrix_keeps_its_directions(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    left, _, right = np.linalg.svd(rng.normal(size=shape), full_matrices=False)
    lengths = np.geomspace(1, 0.03, len(right))
    ours = orthogonalized(tf.constant(1e-3 * left * lengths @ right, tf.float32)).numpy()
    along = left.T @ ours @ right.T
    np.testing.assert_allclose(along - np.diag(np.diag(along)), 0, atol=1e-4)
    # Three steps of Muon's quintic polynomial, on each singular value separately.
    expected = lengths / np.linalg.norm(lengths)
    for _ in range(3):
        expected = 3.4445 * expected - 4.7750 * expected**3 + 2.0315 * expected**5
    np.testing.assert_allclose(np.diag(along), expected, rtol=1e-3)
    assert 0.68 < expected.min() < expected.max() < 1.21
    assert not orthogonalized(tf.zeros(shape)).numpy().any()


def muon_change(weight: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    optimizer = build_optimizer(some_recipe(optimizer="muon", weight_decay=0.0))
    variable = keras.Variable(weight.astype(np.float32), name="kernel")
    optimizer.build([variable])
    optimizer.learning_rate.assign(0.1)
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
    return keras.ops.convert_to_numpy(variable) - weight


def test_muon_orthogonalizes_the_momentum_of_a_convolution() -> None:
    first, second = np.random.default_rng(1).normal(size=(2, 3, 3, 2, 4))
    nesterov = [first + 0.7 * first, second + 0.7 * (0.7 * first + second)]
    changes = [
        0.2 * np.sqrt(18) * orthogonalized(tf.constant(g.reshape(18, 4), tf.float32)).numpy() for g in nesterov
    ]
    change = muon_change(np.ones((3, 3, 2, 4)), [first, second])
    np.testing.assert_allclose(change.reshape(18, 4), -0.1 * (changes[0] + changes[1]), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("shape", [(6, 5), (5,), (3, 3, 4, 1)])
def test_muon_updates_other_weights_by_adam_at_a_smaller_rate(shape: tuple[int, ...]) -> None:
    """The first step of Adam has the length of the learning rate, for any gradient."""
    change = muon_change(np.zeros(shape), [np.full(shape, 7.0)])
    np.testing.assert_allclose(change, -0.03, rtol=1e-4)
