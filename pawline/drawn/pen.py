"""A pen that draws outlines on a canvas, and the curves that outlines are made of.

Outlines are float arrays (n, 2) of x to the right and y downwards, where (0, 0) is the middle of the face and 1 its
radius."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from pawline.drawn.colors import Color

Outline = NDArray[np.float64]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Pen:
    """Draws outlines on a canvas. `turn` is how far the head looks aside; parts nearer to the viewer move further.
    `depth` is how near the drawn part is, in radii."""

    canvas: Picture
    center: Outline
    axes: NDArray[np.float64]  # (2, 2): rows are where the face's x and y point, in pixels
    turn: float
    depth: float = 0.0

    def at(self, depth: float) -> "Pen":
        return replace(self, depth=depth)

    def fill(self, outline: Outline, color: Color, edge: Color | None = None) -> None:
        cv2.fillPoly(self.canvas, [self._pixels(outline)], color, lineType=cv2.LINE_AA, shift=4)
        if edge:
            self.stroke([outline], edge, 0.035, closed=True)

    def stroke(self, lines: ArrayLike, color: Color, width: float, closed: bool = False) -> None:
        """Draw lines. lines: float (number of lines, points per line, 2)."""
        thickness = max(1, round(width * float(np.linalg.norm(self.axes[0]))))
        pixels = list(self._pixels(np.asarray(lines)))
        cv2.polylines(self.canvas, pixels, closed, color, thickness, lineType=cv2.LINE_AA, shift=4)

    def cover(self, outline: Outline, patches: Sequence[Outline], color: Color) -> None:
        """Fill the patches, but only inside the outline."""
        painted = replace(self, canvas=self.canvas.copy())
        for patch in patches:
            painted.fill(patch, color)
        inside = np.zeros(self.canvas.shape[:2], np.uint8)
        cv2.fillPoly(inside, [self._pixels(outline)], 255, shift=4)
        cv2.copyTo(painted.canvas, inside, self.canvas)

    def _pixels(self, outline: Outline) -> NDArray[np.int32]:
        moved = outline + [self.turn * self.depth, 0]
        return np.round((moved @ self.axes + self.center) * 16).astype(np.int32)  # shift=4: in 16ths


def random_pose(rng: Generator, canvas: Picture) -> Pen:
    height, width = canvas.shape[:2]
    radius = min(height, width) * rng.uniform(0.23, 0.33)
    angle = np.deg2rad(np.clip(rng.normal(0, 11), -28, 28))
    right = np.array([np.cos(angle), np.sin(angle)]) * radius * rng.uniform(0.92, 1.08)
    down = np.array([-np.sin(angle), np.cos(angle)]) * radius
    center = np.array([width * rng.uniform(0.4, 0.6), height * rng.uniform(0.48, 0.6)])
    return Pen(canvas, center, np.stack([right, down]), turn=rng.uniform(-1, 1))


def smooth(points: ArrayLike) -> Outline:
    """A closed curve through the points (a Catmull-Rom spline), with eight steps between neighbouring points."""
    p = np.asarray(points, np.float64)[:, np.newaxis]
    before, after, beyond = np.roll(p, 1, axis=0), np.roll(p, -1, axis=0), np.roll(p, -2, axis=0)
    t = (np.arange(8) / 8)[np.newaxis, :, np.newaxis]
    linear, square = after - before, 2 * before - 5 * p + 4 * after - beyond
    cubic = 3 * p - before - 3 * after + beyond
    return np.asarray(p + (linear * t + square * t**2 + cubic * t**3) / 2).reshape(-1, 2)


def both_sides(right: Sequence[tuple[float, float]]) -> Outline:
    """A closed curve through the points of the right half, which begin and end on the axis, and their mirror image."""
    left = [(-x, y) for x, y in right[-2:0:-1]]
    return smooth([*right, *left])


def oval(x: float, y: float, x_radius: float, y_radius: float) -> Outline:
    return unit(np.linspace(0, 2 * np.pi, 32, endpoint=False)) * [x_radius, y_radius] + [x, y]


def unit(angles: NDArray[np.float64]) -> Outline:
    """Points on the circle of radius 1. angles: float64 (n,), in radians."""
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def arc(start: ArrayLike, pull: ArrayLike, end: ArrayLike) -> Outline:
    """An open curve from start to end that bends towards `pull` (a quadratic Bézier curve)."""
    t = np.linspace(0, 1, 12)[:, np.newaxis]
    return np.asarray(
        (1 - t) ** 2 * np.asarray(start) + 2 * t * (1 - t) * np.asarray(pull) + t**2 * np.asarray(end)
    )


def bend(start: ArrayLike, end: ArrayLike, bulge: float) -> Outline:
    """An arc that bends to its left by about `bulge`."""
    first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
    x, y = last - first
    return arc(first, (first + last) / 2 + 2 * bulge * np.array([y, -x]) / np.hypot(x, y), last)


def leaf(start: ArrayLike, end: ArrayLike, bulge: float) -> Outline:
    return np.concatenate([bend(start, end, bulge), bend(end, start, bulge)])
