"""The drawn picture on which the features of EfficientNet-Lite are compared. Needs NumPy alone: the reference is made
in an environment without Pawline (benchmarks/lite_features.py)."""

import numpy as np


def lite_picture(side: int) -> np.ndarray:
    """Rings on ramps: uint8 (side, side, 3), RGB. No axis and no channel is like another."""
    down, across = np.mgrid[:side, :side] / side
    rings = np.hypot(down - 0.4, across - 0.55) * 40 % 2 < 1
    return np.stack([255 * across, 200 * down * rings, 255 * (1 - across) * down], axis=-1).astype(np.uint8)
