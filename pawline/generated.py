"""A data set drawn by code: heads of cats and dogs, the same bytes for the same seed.

A cat has upright pointed ears, slit pupils, a short muzzle and long whiskers; a dog has hanging, folded
or round ears, round pupils, a long muzzle and at times its tongue out. All the rest (size, pose, coat,
colours, background, light, file) is drawn at random alike for both, so that none of it can give the
class away.

Shapes are outlines: float arrays (n, 2) of x to the right and y downwards, where (0, 0) is the middle
of the face and 1 its radius. Pictures are uint8 (height, width, 3), red, green, blue.
"""

import colorsys
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from pawline.errors import DatasetError
from pawline.params import Record

CLASS_NAMES = ("cat", "dog")

Outline = NDArray[np.float64]
Picture = NDArray[np.uint8]
Color = tuple[int, int, int]
Option = TypeVar("Option")


class GeneratedSet(Record):
    """The content of data/generated.yaml, where each key is explained."""

    seed: int = Field(ge=0)
    num_images_per_class: int = Field(ge=10, le=9999)  # planted copies are of the first nine
    min_side: int = Field(ge=64, le=2000)
    max_side: int = Field(ge=64, le=2000)
    planted_faults: bool

    @model_validator(mode="after")
    def sides_are_in_order(self) -> Self:
        if self.min_side > self.max_side:
            raise ValueError(f"min_side {self.min_side} is larger than max_side {self.max_side}")
        return self


def draw_data_set(spec: GeneratedSet, root: Path) -> None:
    """Write root/cat/0001.jpg ... root/dog/.... `root` must not exist or be empty.

    Each picture depends on the seed, its class, its number and the sides allowed, and on nothing else.
    """
    if root.exists() and any(root.iterdir()):
        raise DatasetError(f"{root}: not empty; a generated set is drawn into a new or empty folder")
    for class_name in CLASS_NAMES:
        folder = root / class_name
        folder.mkdir(parents=True)
        for number in range(1, spec.num_images_per_class + 1):
            name, data = _draw_file(spec, class_name, number)
            (folder / name).write_bytes(data)
    if spec.planted_faults:
        _plant_faults(spec, root)


def _draw_file(spec: GeneratedSet, class_name: str, number: int) -> tuple[str, bytes]:
    rng = np.random.default_rng([spec.seed, CLASS_NAMES.index(class_name), number])
    quality = int(rng.integers(55, 96))
    picture = _draw_picture(spec, class_name, rng)
    if number % 50 == 10:  # a few PNG files, every second one with an alpha channel
        return f"{number:04}.png", _encode_png(picture, alpha=number % 100 == 10)
    return f"{number:04}.jpg", _encode_jpeg(picture, quality)


def _draw_picture(spec: GeneratedSet, class_name: str, rng: Generator) -> Picture:
    height, width = _random_size(spec, rng)
    look = _random_look(rng)
    canvas = _draw_background(rng, look, height, width)
    pen = _random_pose(rng, canvas)
    _draw_body(pen, look, rng)
    draw_animal = {"cat": _draw_cat, "dog": _draw_dog}[class_name]
    draw_animal(pen, look, rng)
    return _photograph(canvas, rng)


def _random_size(spec: GeneratedSet, rng: Generator) -> tuple[int, int]:
    long = rng.uniform(min(1.25 * spec.min_side, spec.max_side), spec.max_side)
    short = max(long * rng.uniform(0.6, 1), spec.min_side)
    height, width = (long, short) if rng.random() < 0.5 else (short, long)
    return round(height), round(width)


# --- What an animal looks like, whichever it is -------------------------------------------------------

FURS: tuple[Color, ...] = (
    (216, 140, 68),  # ginger
    (146, 146, 152),  # silver
    (62, 58, 62),  # black
    (238, 232, 222),  # white
    (230, 202, 162),  # cream
    (130, 90, 60),  # brown
    (92, 64, 50),  # chocolate
    (104, 118, 138),  # blue
    (200, 166, 122),  # fawn
    (186, 116, 74),  # red
)
IRISES: tuple[Color, ...] = ((196, 150, 50), (150, 168, 70), (110, 160, 196), (140, 90, 48), (226, 178, 70))
NOSES: tuple[Color, ...] = ((220, 128, 132), (44, 38, 40), (112, 68, 62))
PINK: Color = (232, 132, 142)
WHITE: Color = (250, 246, 238)
INK: Color = (38, 30, 32)


@dataclass(frozen=True)
class Look:
    """Colours and coat. `marking` is the coat's second colour, `edge` the line drawn round shapes."""

    fur: Color
    marking: Color
    muzzle: Color
    ear: Color
    edge: Color
    iris: Color
    nose: Color
    pattern: str
    fluff: float


def _random_look(rng: Generator) -> Look:
    fur = _pick(rng, FURS)
    marking = WHITE if _brightness(fur) < 170 and rng.random() < 0.5 else _shade(fur, rng.uniform(0.5, 0.7))
    return Look(
        fur=fur,
        marking=marking,
        muzzle=_mix_colors(fur, WHITE, rng.uniform(0.2, 0.8)),
        ear=_pick(rng, (fur, _shade(fur, 0.85), marking)),
        edge=_shade(fur, 0.45),
        iris=_pick(rng, IRISES),
        nose=_pick(rng, NOSES),
        pattern=_pick(rng, ("plain", "blaze", "patch", "stripes", "spots", "mask")),
        fluff=_pick(rng, (0.0, 0.0, 0.025, 0.045)),
    )


def _markings(pattern: str, rng: Generator) -> list[Outline]:
    """Where the coat has its second colour; what lies outside the head is cut off by the caller."""
    side = rng.choice([-1, 1])
    if pattern == "blaze":
        width = rng.uniform(0.08, 0.22)
        return [_both_sides([(0, -1.3), (width / 2, -1.2), (width, -0.1), (0.6, 1), (0, 1.2)])]
    if pattern == "patch":
        return [_oval(side * 0.45, -0.2, rng.uniform(0.35, 0.5), rng.uniform(0.4, 0.6))]
    if pattern == "stripes":
        brow = [_leaf((x, -1.05), (0.6 * x, -0.4), 0.06) for x in (-0.36, -0.18, 0, 0.18, 0.36)]
        cheeks = [_leaf((1.05, y), (0.62, y), 0.05) for y in (0.02, 0.22, 0.42)]
        return brow + cheeks + [cheek * [-1, 1] for cheek in cheeks]
    if pattern == "spots":
        return [_oval(*rng.uniform(-0.9, 0.9, 2), *rng.uniform(0.07, 0.2, 2)) for _ in range(10)]
    if pattern == "mask":
        return [_oval(0, 0.3, rng.uniform(0.55, 0.75), rng.uniform(0.5, 0.65))]
    return []


# --- Drawing ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pen:
    """Draws outlines on a canvas. `turn` is how far the head looks aside: what is nearer to the viewer
    moves further (`depth`, in radii)."""

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
        """lines: (number of lines, points of each, 2)."""
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


def _random_pose(rng: Generator, canvas: Picture) -> Pen:
    height, width = canvas.shape[:2]
    radius = min(height, width) * rng.uniform(0.23, 0.33)
    angle = np.deg2rad(np.clip(rng.normal(0, 11), -28, 28))
    right = np.array([np.cos(angle), np.sin(angle)]) * radius * rng.uniform(0.92, 1.08)
    down = np.array([-np.sin(angle), np.cos(angle)]) * radius
    center = np.array([width * rng.uniform(0.4, 0.6), height * rng.uniform(0.48, 0.6)])
    return Pen(canvas, center, np.stack([right, down]), turn=rng.uniform(-1, 1))


def _draw_body(pen: Pen, look: Look, rng: Generator) -> None:
    wide = rng.uniform(0.85, 1.2)
    body = _both_sides([(0, 0.3), (0.5, 0.5), (wide, 1.5), (wide * 1.15, 3), (wide, 6), (0, 6)])
    pen.at(-0.15).fill(body, _shade(look.fur, 0.9), look.edge)
    chest = _oval(0, 1.9, 0.5, 0.9)
    pen.at(-0.1).fill(chest, look.muzzle if look.pattern != "plain" else _shade(look.fur, 0.95))
    if rng.random() < 0.4:
        pen.at(-0.1).stroke([_arc((-0.72, 0.85), (0, 1.32), (0.72, 0.85))], _vivid(rng), 0.16)


def _draw_cat(pen: Pen, look: Look, rng: Generator) -> None:
    wide = rng.uniform(0.9, 1.08)
    head = [(0, -0.82), (0.5, -0.76), (0.86, -0.35), (0.98, 0.18), (0.72, 0.6), (0.3, 0.82), (0, 0.86)]
    _draw_cat_ears(pen.at(-0.06), look, rng)
    _draw_head(pen, look, rng, _both_sides(head) * [wide, 1])
    _draw_cat_eyes(pen.at(0.14), look, rng)
    _draw_cat_muzzle(pen.at(0.22), look)
    _draw_whiskers(pen.at(0.2), look, rng)


def _draw_cat_ears(pen: Pen, look: Look, rng: Generator) -> None:
    tip = np.array([rng.uniform(0.62, 0.88), rng.uniform(-1.62, -1.32)])
    for side in (-1, 1):
        leaning = tip + rng.normal(0, 0.03, 2)
        ear = np.concatenate([_bend((0.14, -0.66), leaning, 0.05), _bend(leaning, (0.95, -0.05), 0.05)])
        inner = leaning + (ear - leaning) * [0.62, 0.74] + [0, 0.2]
        pen.fill(ear * [side, 1], look.ear, look.edge)
        pen.fill(inner * [side, 1], _mix_colors(PINK, look.fur, 0.35))


def _draw_cat_eyes(pen: Pen, look: Look, rng: Generator) -> None:
    open_height, slit = rng.uniform(0.15, 0.21), rng.uniform(0.035, 0.075)
    for side in (-1, 1):
        x = side * 0.42
        eye = _smooth([(-0.23, 0.05), (-0.06, -open_height), (0.25, -0.1), (0.08, open_height)]) * [side, 1]
        eye = eye + [x, -0.08]
        pen.fill(eye, look.iris, INK)
        pen.cover(eye, [_oval(x + 0.01 * side, -0.08, slit, 0.22)], INK)
        pen.fill(_oval(x + 0.05, -0.15, 0.04, 0.04), WHITE)


def _draw_cat_muzzle(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.fill(_oval(side * 0.15, 0.42, 0.21, 0.16), look.muzzle)
    mouth = [_arc((0, 0.38), (side * 0.06, 0.56), (side * 0.24, 0.46)) for side in (-1, 1)]
    pen.stroke(mouth, look.edge, 0.03)
    pen.fill(_both_sides([(0, 0.22), (0.1, 0.24), (0.04, 0.33), (0, 0.36)]), look.nose, INK)


def _draw_whiskers(pen: Pen, look: Look, rng: Generator) -> None:
    color = WHITE if _brightness(look.fur) < 150 else _shade(look.fur, 0.4)
    reach, droop = rng.uniform(1.25, 1.65), rng.uniform(-0.15, 0.2)
    whiskers = []
    for side in (-1, 1):
        for level in (-1, 0, 1):
            start = (side * 0.24, 0.42 + 0.05 * level)
            end = (side * reach * rng.uniform(0.9, 1.05), 0.36 + 0.2 * level + droop)
            whiskers.append(_arc(start, (side * 0.75, 0.3 + 0.12 * level), end))
    pen.stroke(whiskers, color, 0.02)


def _draw_dog(pen: Pen, look: Look, rng: Generator) -> None:
    wide = rng.uniform(0.98, 1.22)
    head = [(0, -0.9), (0.45, -0.84), (0.74, -0.45), (0.76, 0.05), (0.6, 0.5), (0.36, 0.86), (0, 0.95)]
    kind = _pick(rng, ("hanging", "hanging", "hanging", "folded", "round"))
    if kind != "hanging":
        _draw_upper_dog_ears(pen.at(-0.06), look, rng, kind)
    _draw_head(pen, look, rng, _both_sides(head) * [wide, 1])
    _draw_dog_eyes(pen.at(0.14), look, rng)
    _draw_dog_muzzle(pen.at(0.34), look, rng)
    if kind == "hanging":
        _draw_hanging_ears(pen.at(-0.04), look, rng, wide)


def _draw_upper_dog_ears(pen: Pen, look: Look, rng: Generator, kind: str) -> None:
    tall = rng.uniform(0.9, 1.1)
    for side in (-1, 1):
        if kind == "round":
            ear = _smooth([(0.25, -0.6), (0.4, -1.08), (0.75, -1.2), (1.02, -0.92), (0.85, -0.3)])
            pen.fill(ear * [side, tall], look.ear, look.edge)
            inner = _oval(0.68, -0.85, 0.18, 0.2)
            pen.fill(inner * [side, tall], _mix_colors(PINK, look.fur, 0.4))
        else:
            back = _smooth([(0.2, -0.6), (0.42, -1.1), (0.85, -1.12), (0.9, -0.2)])
            flap = _smooth([(0.4, -1.1), (0.86, -1.14), (1.18, -0.62), (1.1, -0.45), (0.72, -0.72)])
            pen.fill(back * [side, tall], look.ear, look.edge)
            pen.fill(flap * [side, tall], _shade(look.ear, 0.85), look.edge)


def _draw_hanging_ears(pen: Pen, look: Look, rng: Generator, wide: float) -> None:
    drop, out = rng.uniform(0.35, 0.95), rng.uniform(0.25, 0.5)
    for side in (-1, 1):
        outer = [(0.3, -0.86), (0.62, -0.9), (0.72 + out, -0.45), (0.8 + out, drop - 0.3)]
        inner = [(0.7 + out / 2, drop), (0.66, drop - 0.3), (0.64, -0.35)]
        pen.fill(_smooth(outer + inner) * [side * wide, 1], look.ear, look.edge)


def _draw_dog_eyes(pen: Pen, look: Look, rng: Generator) -> None:
    radius = rng.uniform(0.13, 0.17)
    for side in (-1, 1):
        x, y = side * 0.34, -0.2
        pen.fill(_oval(x, y, radius, radius), look.iris, INK)
        pen.fill(_oval(x, y, radius * 0.62, radius * 0.62), INK)
        pen.fill(_oval(x + 0.05, y - 0.06, 0.045, 0.045), WHITE)
        brow = _arc((x - 0.12, y - 0.24), (x + side * 0.02, y - 0.33), (x + 0.12, y - 0.24))
        pen.stroke([brow], look.edge, 0.04)


def _draw_dog_muzzle(pen: Pen, look: Look, rng: Generator) -> None:
    broad, long = rng.uniform(0.4, 0.52), rng.uniform(0.4, 0.5)
    chin = 0.42 + long
    if rng.random() < 0.5:
        tongue = [(0, chin - 0.15), (0.15, chin - 0.12), (0.17, chin + 0.22), (0, chin + 0.34)]
        pen.fill(_both_sides(tongue), PINK, _shade(PINK, 0.6))
        pen.stroke([[(0, chin), (0, chin + 0.18)]], _shade(PINK, 0.75), 0.03)
    pen.fill(_oval(0, 0.42, broad, long), look.muzzle, look.edge)
    mouth = [_arc((0, 0.55), (side * 0.08, chin - 0.12), (side * 0.32, chin - 0.22)) for side in (-1, 1)]
    pen.stroke([*mouth, _arc((0, 0.3), (0, 0.45), (0, 0.6))], look.edge, 0.04)
    pen.fill(_both_sides([(0, 0.06), (0.21, 0.12), (0.17, 0.26), (0, 0.36)]), look.nose, INK)
    pen.fill(_oval(-0.07, 0.14, 0.06, 0.03), _mix_colors(look.nose, WHITE, 0.5))


def _draw_head(pen: Pen, look: Look, rng: Generator, head: Outline) -> None:
    ruffled = head * (1 + look.fluff * (np.arange(len(head)) % 4 - 1.5)[:, np.newaxis] / 1.5)
    pen.fill(ruffled, look.fur, look.edge)
    for factor in (0.88, 1.1):
        roots = rng.uniform(0, 0.72, (45, 1)) * _unit(rng.uniform(0, 2 * np.pi, 45))
        hairs = np.stack([roots, roots * 1.06 + [0, 0.07]], axis=1)
        pen.stroke(hairs, _shade(look.fur, factor), 0.012)
    pen.cover(ruffled, _markings(look.pattern, rng), look.marking)


# --- Background and photograph ------------------------------------------------------------------------


def _draw_background(rng: Generator, look: Look, height: int, width: int) -> Picture:
    first = _background_color(rng, look)
    second = _mix_colors(first, _background_color(rng, look), rng.uniform(0.3, 1))
    kind = _pick(rng, ("plain", "gradient", "stripes", "blobs", "noise", "room"))
    blend = _blend(rng, kind, height, width)[:, :, np.newaxis]
    start, end = np.array([first, second], np.float32)
    return np.asarray(start + blend * (end - start), np.uint8)


def _blend(rng: Generator, kind: str, height: int, width: int) -> NDArray[np.float32]:
    """float32 (height, width): how much of the second colour each pixel has, 0 to 1."""
    ramp = _ramp(rng, height, width)
    if kind == "gradient":
        return ramp
    if kind == "stripes":
        return np.clip(4 * np.sin(ramp * rng.uniform(15, 60)) + 0.5, 0, 1)
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


def _photograph(canvas: Picture, rng: Generator) -> Picture:
    """Lens, light and sensor."""
    height, width = canvas.shape[:2]
    blurred = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 0.3 + min(height, width) / 150))
    light = rng.uniform(0.8, 1.15) + rng.uniform(0, 0.45) * (_ramp(rng, height, width) - 0.5)
    grain = rng.standard_normal((height, width), np.float32) * rng.uniform(0, 9)
    tint = 1 + rng.uniform(-0.06, 0.06, 3).astype(np.float32)
    exposed = blurred * tint
    exposed *= light[:, :, np.newaxis]
    exposed += grain[:, :, np.newaxis]
    return np.clip(exposed, 0, 255, out=exposed).astype(np.uint8)


# --- Outlines -----------------------------------------------------------------------------------------


def _smooth(points: ArrayLike) -> Outline:
    """A closed curve through the points (Catmull and Rom's spline), eight steps from each to the next."""
    p = np.asarray(points, np.float64)[:, np.newaxis]
    before, after, beyond = np.roll(p, 1, axis=0), np.roll(p, -1, axis=0), np.roll(p, -2, axis=0)
    t = (np.arange(8) / 8)[np.newaxis, :, np.newaxis]
    linear, square = after - before, 2 * before - 5 * p + 4 * after - beyond
    cubic = 3 * p - before - 3 * after + beyond
    return np.asarray(p + (linear * t + square * t**2 + cubic * t**3) / 2).reshape(-1, 2)


def _both_sides(right: Sequence[tuple[float, float]]) -> Outline:
    """The closed curve through the right half's points, which begin and end on the axis, and their mirror."""
    left = [(-x, y) for x, y in right[-2:0:-1]]
    return _smooth([*right, *left])


def _oval(x: float, y: float, x_radius: float, y_radius: float) -> Outline:
    return _unit(np.linspace(0, 2 * np.pi, 32, endpoint=False)) * [x_radius, y_radius] + [x, y]


def _unit(angles: NDArray[np.float64]) -> Outline:
    """Points on the circle of radius 1."""
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _arc(start: ArrayLike, pull: ArrayLike, end: ArrayLike) -> Outline:
    """An open curve from start to end that bends towards `pull` (Bézier's, of second degree)."""
    t = np.linspace(0, 1, 12)[:, np.newaxis]
    return np.asarray(
        (1 - t) ** 2 * np.asarray(start) + 2 * t * (1 - t) * np.asarray(pull) + t**2 * np.asarray(end)
    )


def _bend(start: ArrayLike, end: ArrayLike, bulge: float) -> Outline:
    """An arc that stands out to its left by about `bulge`."""
    first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
    x, y = last - first
    return _arc(first, (first + last) / 2 + 2 * bulge * np.array([y, -x]) / np.hypot(x, y), last)


def _leaf(start: ArrayLike, end: ArrayLike, bulge: float) -> Outline:
    return np.concatenate([_bend(start, end, bulge), _bend(end, start, bulge)])


# --- Colours ------------------------------------------------------------------------------------------


def _pick(rng: Generator, options: Sequence[Option]) -> Option:
    return options[int(rng.integers(len(options)))]


def _brightness(color: Color) -> float:
    return float(np.dot(color, (0.299, 0.587, 0.114)))


def _shade(color: Color, factor: float) -> Color:
    red, green, blue = (min(255, round(value * factor)) for value in color)
    return red, green, blue


def _mix_colors(first: Color, second: Color, share: float) -> Color:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _vivid(rng: Generator) -> Color:
    return _hsv(rng.random(), 0.8, 0.8)


def _background_color(rng: Generator, look: Look) -> Color:
    """Any colour that the fur stands out from."""
    while True:
        color = _hsv(rng.random(), rng.uniform(0.1, 0.65), rng.uniform(0.35, 1))
        if abs(_brightness(color) - _brightness(look.fur)) > 40:
            return color


def _hsv(hue: float, saturation: float, value: float) -> Color:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue


# --- Files --------------------------------------------------------------------------------------------


def _encode_jpeg(picture: Picture, quality: int) -> bytes:
    return _encode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])


def _encode_png(picture: Picture, alpha: bool) -> bytes:
    if not alpha:
        return _encode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [])
    height, width = picture.shape[:2]
    oval = np.zeros((height, width), np.uint8)
    half = (width // 2, height // 2)
    cv2.ellipse(oval, half, half, 0, 0, 360, 255, -1)
    pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2BGRA)
    pixels[:, :, 3] = cv2.GaussianBlur(oval, (0, 0), min(height, width) / 30)  # fades towards the corners
    return _encode(".png", pixels, [])


def _encode(suffix: str, pixels: MatLike, options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, pixels, options)
    assert done
    return data.tobytes()


# --- Planted faults -----------------------------------------------------------------------------------

# (class name, number, scale, JPEG quality): the same picture once more, at another size or quality.
NEAR_COPIES = (("cat", 4, 0.7, 85), ("cat", 6, 1.3, 90), ("dog", 4, 0.8, 60), ("dog", 8, 1.0, 40))
EXACT_COPIES = (("cat", 3), ("dog", 5), ("dog", 9))
# (class name, EXIF orientation): new pictures, stored turned or mirrored as a camera would.
TURNED = (("cat", 6), ("cat", 2), ("dog", 8), ("dog", 3))


def _plant_faults(spec: GeneratedSet, root: Path) -> None:
    _plant_bad_files(root)
    _plant_copies(root)
    for class_name, orientation in TURNED:
        data = _store_turned(_draw_upright(spec, class_name, orientation), orientation)
        (root / class_name / f"turned-{orientation}.jpg").write_bytes(data)


def _plant_bad_files(root: Path) -> None:
    whole = (root / "dog" / "0002.jpg").read_bytes()
    (root / "cat" / "empty.jpg").write_bytes(b"")
    (root / "dog" / "cut-off.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "cat" / "notes.jpg").write_bytes(b"Feed the cats at seven, walk the dogs at eight.\n")
    (root / "cat" / "Thumbs.db").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504))  # an OLE2 header
    (root / "dog" / ".thumbnails").mkdir()
    (root / "dog" / ".thumbnails" / "0002.jpg").write_bytes(whole)


def _plant_copies(root: Path) -> None:
    for class_name, number in EXACT_COPIES:
        data = (root / class_name / f"{number:04}.jpg").read_bytes()
        (root / class_name / f"copy-of-{number:04}.jpg").write_bytes(data)
    for class_name, number, scale, quality in NEAR_COPIES:
        data = (root / class_name / f"{number:04}.jpg").read_bytes()
        (root / class_name / f"resaved-{number:04}.jpg").write_bytes(_resave(data, scale, quality))
    (root / "dog" / "wrong-folder-0007.jpg").write_bytes((root / "cat" / "0007.jpg").read_bytes())


def _resave(data: bytes, scale: float, quality: int) -> bytes:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    resized = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return _encode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _draw_upright(spec: GeneratedSet, class_name: str, orientation: int) -> Picture:
    seeds = [spec.seed, CLASS_NAMES.index(class_name), 0, orientation]  # 0: the number of no other picture
    return _draw_picture(spec, class_name, np.random.default_rng(seeds))


def _store_turned(picture: Picture, orientation: int) -> bytes:
    """JPEG whose pixels are turned so that a viewer who honours the EXIF tag shows `picture`."""
    mirrored = picture[:, ::-1] if orientation == 2 else picture
    stored = np.rot90(mirrored, {2: 0, 3: 2, 6: 1, 8: 3}[orientation])  # quarter turns, anticlockwise
    data = _encode_jpeg(np.ascontiguousarray(stored), 90)
    return data[:2] + _exif_segment(orientation) + data[2:]


def _exif_segment(orientation: int) -> bytes:
    """An APP1 segment with one TIFF directory of one entry: tag 0x0112, type SHORT, one value."""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    payload = b"Exif\0\0" + tiff
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload
