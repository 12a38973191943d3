"""Draw the background of an animal, and imitate the effects of lens, light and sensor."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pawline.drawn.animals import Look
from pawline.drawn.colors import Color, brightness, hsv, mix_colors, pick
from pawline.drawn.pen import Picture


def draw_background(rng: Generator, look: Look, height: int, width: int) -> Picture:
    first = _background_color(rng, look)
    second = mix_colors(first, _background_color(rng, look), rng.uniform(0.3, 1))
    kind = pick(rng, ("plain", "gradient", "stripes", "blobs", "noise", "room"))
    blend = _blend(rng, kind, height, width)[:, :, np.newaxis]
    start, end = np.array([first, second], np.float32)
    return np.asarray(start + blend * (end - start), np.uint8)


def _blend(rng: Generator, kind: str, height: int, width: int) -> NDArray[np.float32]:
    """float32 (height, width): the fraction of the second colour in each pixel, 0 to 1."""
    ramp = _ramp(rng, height, width)
    if kind == "gradient":
        return ramp
    if kind == "stripes":
        return np.asarray(np.clip(4 * np.sin(ramp * rng.uniform(15, 60)) + 0.5, 0, 1), np.float32)
    if kind == "blobs":
        return _discs(rng, height, width)
    if kind == "noise":
        coarse = rng.random(rng.integers(3, 30, 2), np.float32)
        return np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    if kind == "room":
        floor = np.arange(height)[:, np.newaxis] > height * rng.uniform(0.55, 0.85)
        return np.repeat(floor, width, axis=1).astype(np.float32)
    return np.zeros((height, width), np.float32)


def _ramp(rng: Generator, height: int, width: int) -> NDArray[np.float32]:
    """float32 (height, width): from 0 to 1 across the picture, in a random direction."""
    x, y = rng.normal(size=2)
    x, y = np.array([x, y]) / (abs(x) + abs(y))
    along_x = np.linspace(max(-x, 0), max(x, 0), width, dtype=np.float32)
    along_y = np.linspace(max(-y, 0), max(y, 0), height, dtype=np.float32)
    return along_x[np.newaxis, :] + along_y[:, np.newaxis]


def _discs(rng: Generator, height: int, width: int) -> NDArray[np.float32]:
    discs = np.zeros((height, width), np.float32)
    for _ in range(rng.integers(6, 24)):
        middle = (int(rng.integers(width)), int(rng.integers(height)))
        radius = int(max(height, width) * rng.uniform(0.03, 0.12))
        cv2.circle(discs, middle, radius, rng.uniform(0.4, 1), cv2.FILLED)
    return np.asarray(cv2.GaussianBlur(discs, (0, 0), rng.uniform(0.5, 6)), np.float32)


def photograph(canvas: Picture, rng: Generator) -> Picture:
    """Add the blur of a lens, uneven light, the noise of a sensor and a tint."""
    height, width = canvas.shape[:2]
    blurred = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 0.3 + min(height, width) / 150))
    light = rng.uniform(0.8, 1.15) + rng.uniform(0, 0.45) * (_ramp(rng, height, width) - 0.5)
    grain = rng.standard_normal((height, width), np.float32) * rng.uniform(0, 9)
    tint = 1 + rng.uniform(-0.06, 0.06, 3).astype(np.float32)
    exposed = blurred * tint
    exposed *= light[:, :, np.newaxis]
    exposed += grain[:, :, np.newaxis]
    return np.clip(exposed, 0, 255, out=exposed).astype(np.uint8)


def _background_color(rng: Generator, look: Look) -> Color:
    """A random colour whose brightness differs clearly from the fur's."""
    while True:
        color = hsv(rng.random(), rng.uniform(0.1, 0.65), rng.uniform(0.35, 1))
        if abs(brightness(color) - brightness(look.fur)) > 40:
            return color
