"""Map where in a picture a network finds a class: a small grid over the square that the network sees.

Networks that average their last maps: class activation, what each place adds to the logit (Zhou et al., "Learning Deep
Features for Discriminative Localization", 2016). Other networks: occlusion, by how much the probability falls while a
grey square covers the place (Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks", 2014).
"""

import numpy as np
from numpy.typing import NDArray

from pawline.runtime.model import RuntimeModel

ACTIVATION, OCCLUSION = "class activation", "occlusion"
NUM_PLACES = 8  # of the grey square along a side
GRAY = 128

Heat = NDArray[np.float32]


def map_kind(model: RuntimeModel) -> str:
    return ACTIVATION if "activations" in model.engine.outputs else OCCLUSION


def picture_map(model: RuntimeModel, pixels: NDArray[np.uint8], label: int, other: int | None = None) -> Heat:
    """Find the places of a picture that speak for a class: float32 (rows, columns), larger where they speak louder.

    pixels: uint8 (side, side, channels). other: a class; places count that speak for `label` rather than for it
    (occlusion looks at `label` alone)."""
    if map_kind(model) == OCCLUSION:
        return _occlusion(model, pixels, label)
    activations = model.engine.ask(pixels[np.newaxis], "activations")[0]
    heat: Heat = activations[label] if other is None else activations[label] - activations[other]
    return heat


def _occlusion(model: RuntimeModel, pixels: NDArray[np.uint8], label: int) -> Heat:
    side = len(pixels)
    edges = np.linspace(0, side, NUM_PLACES + 1).astype(int)
    margin = side // (2 * NUM_PLACES)  # squares overlap, so that none splits what matters
    covered = np.repeat(pixels[np.newaxis], NUM_PLACES**2 + 1, axis=0)
    for place in range(NUM_PLACES**2):
        row, column = divmod(place, NUM_PLACES)
        down = slice(max(edges[row] - margin, 0), edges[row + 1] + margin)
        across = slice(max(edges[column] - margin, 0), edges[column + 1] + margin)
        covered[place, down, across] = GRAY
    batches = np.array_split(covered, np.arange(model.batch_size, len(covered), model.batch_size))
    probability = np.concatenate([model.probabilities(batch)[:, label] for batch in batches])
    heat: Heat = (probability[-1] - probability[:-1]).reshape(NUM_PLACES, NUM_PLACES)
    return heat
