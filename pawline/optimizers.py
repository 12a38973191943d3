"""Keras's SGD and AdamW with each weight's update as one operation of TensorFlow's.

Keras writes them in eight passes over the weights and more: a tenth to a fifth of a step on small pictures.
"""

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
    if params.optimizer == "sgd":
        optimizer = FusedSGD(params.learning_rate, momentum=0.9, nesterov=True, **common)
    else:
        optimizer = FusedAdamW(params.learning_rate, **common)
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
