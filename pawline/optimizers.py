"""SGD, AdamW and Muon. Keras's own SGD and AdamW take eight passes over the weights and more, a tenth to a fifth
of a step on small pictures; here each weight's update is one operation of TensorFlow's.
"""

import math
from typing import Any

from pawline.backend import keras, tf
from pawline.params import TrainParams


def build_optimizer(params: TrainParams) -> keras.optimizers.Optimizer:
    """Weight decay is for kernels alone (Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019)."""
    common: dict[str, Any] = {
        "weight_decay": params.weight_decay,
        "use_ema": params.ema > 0,
        "ema_momentum": params.ema,
    }
    match params.optimizer:
        case "sgd":
            optimizer = FusedSGD(params.learning_rate, momentum=0.9, nesterov=True, **common)
        case "adamw":
            optimizer = FusedAdamW(params.learning_rate, **common)
        case "muon":
            optimizer = Muon(params.learning_rate, **common)
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
    """Of a convolution's kernel the momentum is made orthogonal before it is applied, so that no few directions
    take it all (Jordan et al., "Muon: An optimizer for hidden layers", 2024); AdamW for everything else. Scaled so
    that either changes a weight by about as much (Liu et al., "Muon is Scalable for LLM Training", 2025).

    Keras's Muon leaves convolutions to AdamW."""

    MOMENTUM = 0.7
    RATE_OF_OTHERS = 0.3  # of the learning rate, for what AdamW does

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        *window, filters = variable.shape
        if len(window) < 3 or filters == 1:  # no convolution's, or a depthwise one's
            super().update_step(gradient, variable, self.RATE_OF_OTHERS * learning_rate)
            return
        momentum = self._momentums[self._get_variable_index(variable)].value
        # By their handles: inside MirroredStrategy each device updates its own copy.
        updated = (
            self.MOMENTUM * tf.raw_ops.ReadVariableOp(resource=momentum.handle, dtype=gradient.dtype) + gradient
        )
        tf.raw_ops.AssignVariableOp(resource=momentum.handle, value=updated)
        ahead = tf.reshape(gradient + self.MOMENTUM * updated, (-1, filters))  # Nesterov's
        change = 0.2 * math.sqrt(max(ahead.shape)) * learning_rate * orthogonalized(ahead)
        tf.raw_ops.AssignSubVariableOp(resource=variable.handle, value=tf.reshape(change, variable.shape))


def orthogonalized(matrix: tf.Tensor) -> tf.Tensor:
    """float32 (rows, columns): the same singular vectors, with singular values near 1, between 0.68 and 1.21 for
    those above 2 % of the Frobenius norm.

    Three of Muon's steps of Newton and Schulz, matrix * (a + b * gram + c * gram²), but on the small Gram matrix
    alone: their product is applied to the matrix once, at a third of the cost."""
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = matrix.shape[0] < matrix.shape[1]
    gram = tf.matmul(matrix, matrix, transpose_a=not wide, transpose_b=wide)
    square_norm = tf.linalg.trace(gram) + 1e-12  # no gradient, no change
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
