"""Fine-tune a pretrained network: begin with a fitted last layer, and change early layers least.

A new last layer that knows nothing would send random gradients through the network and spoil its features. So it is
first fitted on the features as they are (Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
Out-of-Distribution", 2022; frozen.py does it). Early layers see edges and colours, which are the same in all
photographs, so their learning rate is smaller (Howard & Ruder, "Universal Language Model Fine-tuning for Text
Classification", 2018).
"""

from typing import Any

import numpy as np

from pawline.model.backend import keras

# Fractions of train.learning_rate, for the first and the last layer of the pretrained network and for the new layer.
FIRST_RATE, LAST_RATE = 0.01, 0.1


def adapt(optimizer: keras.optimizers.Optimizer, model: keras.Model) -> None:
    """Give each layer of a pretrained network its rate, and let no weight decay; other networks stay as they are.

    Call it before the optimizer is built."""
    rates = rates_of(model)
    if not rates:
        return
    optimizer.exclude_from_weight_decay(var_list=model.trainable_variables)
    update = optimizer.update_step

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate = rates[model.trainable_variables[optimizer._get_variable_index(variable)].path]
        update(gradient, variable, rate * learning_rate)

    optimizer.update_step = update_step


def rates_of(model: keras.Model) -> dict[str, float]:
    """The fraction of the learning rate for each trainable variable, by its path; empty for a network from scratch."""
    bodies = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    if model.name != "pretrained" or not bodies or not bodies[0].trainable_variables:
        return {}
    layers = [layer for layer in bodies[0].layers if layer.weights]
    steps = np.geomspace(FIRST_RATE, LAST_RATE, len(layers))
    rates = {
        v.path: float(rate) for layer, rate in zip(layers, steps, strict=True) for v in layer.trainable_variables
    }
    return rates | {v.path: LAST_RATE for v in model.get_layer("output").trainable_variables}
