"""SGD, AdamW and Muon. Keras's SGD and AdamW take eight or more passes over the weights, a tenth to a fifth of a
step's time on small pictures. Here the update of each weight is one TensorFlow operation.
"""

import math
from typing import Any

from pawline.model.backend import keras, tf
from pawline.params.train import Recipe


def build_optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    """Build the optimizer of `train.optimizer`. Weight decay acts on kernels alone, never on biases and scales
    (Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019)."""
    common: dict[str, Any] = {
        "weight_decay": recipe.weight_decay,
        "use_ema": recipe.ema > 0,
        "ema_momentum": recipe.ema,
    }
    match recipe.optimizer:
        case "sgd":
            optimizer = FusedSGD(recipe.learning_rate, momentum=0.9, nesterov=True, **common)
        case "adamw":
            optimizer = FusedAdamW(recipe.learning_rate, **common)
        case "muon":
            optimizer = Muon(recipe.learning_rate, **common)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


class FusedSGD(keras.optimizers.SGD):
    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=learning_rate,
            grad=gradient,
            momentum=self.momentum,
            use_nesterov=self.nesterov,
        )


class FusedAdamW(keras.optimizers.AdamW):
    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        index, step = self._get_variable_index(variable), tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class Muon(FusedAdamW):
    """Orthogonalize the momentum of convolution kernels, so that a few directions cannot dominate the update (Jordan
    et al., "Muon: An optimizer for hidden layers", 2024). AdamW updates every other weight. Both changes are scaled to
    about the same size (Liu et al., "Muon is Scalable for LLM Training", 2025).

    Keras's Muon leaves convolutions to AdamW."""

    MOMENTUM = 0.7
    ADAMW_RATE = 0.3  # fraction of the learning rate, for the weights that AdamW updates

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        *window, filters = variable.shape
        if len(window) < 3 or filters == 1:  # not a convolution kernel, or a depthwise one
            super().update_step(gradient, variable, self.ADAMW_RATE * learning_rate)
            return
        momentum = self._momentums[self._get_variable_index(variable)].value
        # Update by handle: inside MirroredStrategy each device updates its own copy.
        updated = (
            self.MOMENTUM * tf.raw_ops.ReadVariableOp(resource=momentum.handle, dtype=gradient.dtype) + gradient
        )
        tf.raw_ops.AssignVariableOp(resource=momentum.handle, value=updated)
        nesterov = tf.reshape(gradient + self.MOMENTUM * updated, (-1, filters))
        change = 0.2 * math.sqrt(max(nesterov.shape)) * learning_rate * orthogonalized(nesterov)
        tf.raw_ops.AssignSubVariableOp(resource=variable.handle, value=tf.reshape(change, variable.shape))


def orthogonalized(matrix: tf.Tensor) -> tf.Tensor:
    """Move the singular values of a float32 (rows, columns) matrix towards 1; its singular vectors stay.

    Singular values above 2 % of the Frobenius norm end between 0.68 and 1.21. These are three of Muon's Newton-Schulz
    steps, matrix * (a + b * gram + c * gram²). They work on the small Gram matrix; the matrix is multiplied once, by
    the product of their factors, at a third of the cost."""
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = matrix.shape[0] < matrix.shape[1]
    gram = tf.matmul(matrix, matrix, transpose_a=not wide, transpose_b=wide)
    square_norm = tf.linalg.trace(gram) + 1e-12  # without a gradient the change is zero
    gram /= square_norm
    identity = tf.eye(gram.shape[0])

    def factor() -> tf.Tensor:
        return a * identity + b * gram + c * tf.matmul(gram, gram)

    product = last = factor()
    for _ in range(2):
        gram = tf.matmul(tf.matmul(last, gram), last)
        last = factor()
        product = tf.matmul(product, last)
    product /= tf.sqrt(square_norm)
    return tf.matmul(product, matrix) if wide else tf.matmul(matrix, product)
