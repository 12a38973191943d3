"""The fused updates are Keras's own."""

import numpy as np
import pytest

from pawline.backend import keras, tf
from pawline.optimizers import FusedAdamW, FusedSGD, build_optimizer
from pawline.params import load_params
from tests.source import ROOT

SGD = {"momentum": 0.9, "nesterov": True}


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [(FusedSGD, keras.optimizers.SGD, SGD), (FusedAdamW, keras.optimizers.AdamW, {})],
)
def test_fused_updates_are_those_of_keras(
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


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_only_kernels_decay(name: str) -> None:
    params = load_params(ROOT / "params.yaml").train
    optimizer = build_optimizer(params.model_copy(update={"optimizer": name, "weight_decay": 0.5}))
    weights = [keras.Variable(np.ones(3, np.float32), name=name) for name in ("kernel", "bias", "gamma", "beta")]
    optimizer.build(weights)
    optimizer.learning_rate.assign(0.1)
    optimizer.apply([tf.zeros(3)] * 4, weights)
    values = [float(keras.ops.convert_to_numpy(weight)[0]) for weight in weights]
    assert values == pytest.approx([0.95, 1, 1, 1])
