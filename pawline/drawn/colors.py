"""Colours as (red, green, blue), each 0 to 255."""

import colorsys
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.random import Generator

Color = tuple[int, int, int]
Option = TypeVar("Option")


def pick(rng: Generator, options: Sequence[Option]) -> Option:
    return options[int(rng.integers(len(options)))]


def brightness(color: Color) -> float:
    return float(np.dot(color, (0.299, 0.587, 0.114)))


def shade(color: Color, factor: float) -> Color:
    red, green, blue = (min(255, round(value * factor)) for value in color)
    return red, green, blue


def mix_colors(first: Color, second: Color, fraction: float) -> Color:
    red, green, blue = (round(a + (b - a) * fraction) for a, b in zip(first, second, strict=True))
    return red, green, blue


def vivid(rng: Generator) -> Color:
    return hsv(rng.random(), 0.8, 0.8)


def hsv(hue: float, saturation: float, value: float) -> Color:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue
