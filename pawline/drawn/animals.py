"""Draw cats and dogs: their coats, heads, ears, eyes and muzzles."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pawline.drawn.colors import Color, brightness, mix_colors, pick, shade, vivid
from pawline.drawn.pen import Outline, Pen, arc, bend, both_sides, leaf, oval, smooth, unit

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
    """The colours and the coat of an animal. `marking` is the coat's second colour, `edge` the colour of outlines."""

    fur: Color
    marking: Color
    muzzle: Color
    ear: Color
    edge: Color
    iris: Color
    nose: Color
    pattern: str
    fluff: float


def random_look(rng: Generator) -> Look:
    fur = pick(rng, FURS)
    marking = WHITE if brightness(fur) < 170 and rng.random() < 0.5 else shade(fur, rng.uniform(0.5, 0.7))
    return Look(
        fur=fur,
        marking=marking,
        muzzle=mix_colors(fur, WHITE, rng.uniform(0.2, 0.8)),
        ear=pick(rng, (fur, shade(fur, 0.85), marking)),
        edge=shade(fur, 0.45),
        iris=pick(rng, IRISES),
        nose=pick(rng, NOSES),
        pattern=pick(rng, ("plain", "blaze", "patch", "stripes", "spots", "mask")),
        fluff=pick(rng, (0.0, 0.0, 0.025, 0.045)),
    )


def _markings(pattern: str, rng: Generator) -> list[Outline]:
    """Outlines of the areas in the coat's second colour; the caller cuts off the parts outside the head."""
    side = rng.choice([-1, 1])
    if pattern == "blaze":
        width = rng.uniform(0.08, 0.22)
        return [both_sides([(0, -1.3), (width / 2, -1.2), (width, -0.1), (0.6, 1), (0, 1.2)])]
    if pattern == "patch":
        return [oval(side * 0.45, -0.2, rng.uniform(0.35, 0.5), rng.uniform(0.4, 0.6))]
    if pattern == "stripes":
        brow = [leaf((x, -1.05), (0.6 * x, -0.4), 0.06) for x in (-0.36, -0.18, 0, 0.18, 0.36)]
        cheeks = [leaf((1.05, y), (0.62, y), 0.05) for y in (0.02, 0.22, 0.42)]
        return brow + cheeks + [cheek * [-1, 1] for cheek in cheeks]
    if pattern == "spots":
        return [oval(*rng.uniform(-0.9, 0.9, 2), *rng.uniform(0.07, 0.2, 2)) for _ in range(10)]
    if pattern == "mask":
        return [oval(0, 0.3, rng.uniform(0.55, 0.75), rng.uniform(0.5, 0.65))]
    return []


def draw_body(pen: Pen, look: Look, rng: Generator) -> None:
    wide = rng.uniform(0.85, 1.2)
    body = both_sides([(0, 0.3), (0.5, 0.5), (wide, 1.5), (wide * 1.15, 3), (wide, 6), (0, 6)])
    pen.at(-0.15).fill(body, shade(look.fur, 0.9), look.edge)
    chest = oval(0, 1.9, 0.5, 0.9)
    pen.at(-0.1).fill(chest, look.muzzle if look.pattern != "plain" else shade(look.fur, 0.95))
    if rng.random() < 0.4:
        pen.at(-0.1).stroke([arc((-0.72, 0.85), (0, 1.32), (0.72, 0.85))], vivid(rng), 0.16)


def draw_cat(pen: Pen, look: Look, rng: Generator) -> None:
    wide = rng.uniform(0.9, 1.08)
    head = [(0, -0.82), (0.5, -0.76), (0.86, -0.35), (0.98, 0.18), (0.72, 0.6), (0.3, 0.82), (0, 0.86)]
    _draw_cat_ears(pen.at(-0.06), look, rng)
    _draw_head(pen, look, rng, both_sides(head) * [wide, 1])
    _draw_cat_eyes(pen.at(0.14), look, rng)
    _draw_cat_muzzle(pen.at(0.22), look)
    _draw_whiskers(pen.at(0.2), look, rng)


def _draw_cat_ears(pen: Pen, look: Look, rng: Generator) -> None:
    tip = np.array([rng.uniform(0.62, 0.88), rng.uniform(-1.62, -1.32)])
    for side in (-1, 1):
        leaning = tip + rng.normal(0, 0.03, 2)
        ear = np.concatenate([bend((0.14, -0.66), leaning, 0.05), bend(leaning, (0.95, -0.05), 0.05)])
        inner = leaning + (ear - leaning) * [0.62, 0.74] + [0, 0.2]
        pen.fill(ear * [side, 1], look.ear, look.edge)
        pen.fill(inner * [side, 1], mix_colors(PINK, look.fur, 0.35))


def _draw_cat_eyes(pen: Pen, look: Look, rng: Generator) -> None:
    open_height, slit = rng.uniform(0.15, 0.21), rng.uniform(0.035, 0.075)
    for side in (-1, 1):
        x = side * 0.42
        eye = smooth([(-0.23, 0.05), (-0.06, -open_height), (0.25, -0.1), (0.08, open_height)]) * [side, 1]
        eye = eye + [x, -0.08]
        pen.fill(eye, look.iris, INK)
        pen.cover(eye, [oval(x + 0.01 * side, -0.08, slit, 0.22)], INK)
        pen.fill(oval(x + 0.05, -0.15, 0.04, 0.04), WHITE)


def _draw_cat_muzzle(pen: Pen, look: Look) -> None:
    for side in (-1, 1):
        pen.fill(oval(side * 0.15, 0.42, 0.21, 0.16), look.muzzle)
    mouth = [arc((0, 0.38), (side * 0.06, 0.56), (side * 0.24, 0.46)) for side in (-1, 1)]
    pen.stroke(mouth, look.edge, 0.03)
    pen.fill(both_sides([(0, 0.22), (0.1, 0.24), (0.04, 0.33), (0, 0.36)]), look.nose, INK)


def _draw_whiskers(pen: Pen, look: Look, rng: Generator) -> None:
    color = WHITE if brightness(look.fur) < 150 else shade(look.fur, 0.4)
    reach, droop = rng.uniform(1.25, 1.65), rng.uniform(-0.15, 0.2)
    whiskers = []
    for side in (-1, 1):
        for level in (-1, 0, 1):
            start = (side * 0.24, 0.42 + 0.05 * level)
            end = (side * reach * rng.uniform(0.9, 1.05), 0.36 + 0.2 * level + droop)
            whiskers.append(arc(start, (side * 0.75, 0.3 + 0.12 * level), end))
    pen.stroke(whiskers, color, 0.02)


def draw_dog(pen: Pen, look: Look, rng: Generator) -> None:
    wide = rng.uniform(0.98, 1.22)
    head = [(0, -0.9), (0.45, -0.84), (0.74, -0.45), (0.76, 0.05), (0.6, 0.5), (0.36, 0.86), (0, 0.95)]
    kind = pick(rng, ("hanging", "hanging", "hanging", "folded", "round"))
    if kind != "hanging":
        _draw_upper_dog_ears(pen.at(-0.06), look, rng, kind)
    _draw_head(pen, look, rng, both_sides(head) * [wide, 1])
    _draw_dog_eyes(pen.at(0.14), look, rng)
    _draw_dog_muzzle(pen.at(0.34), look, rng)
    if kind == "hanging":
        _draw_hanging_ears(pen.at(-0.04), look, rng, wide)


def _draw_upper_dog_ears(pen: Pen, look: Look, rng: Generator, kind: str) -> None:
    tall = rng.uniform(0.9, 1.1)
    for side in (-1, 1):
        if kind == "round":
            ear = smooth([(0.25, -0.6), (0.4, -1.08), (0.75, -1.2), (1.02, -0.92), (0.85, -0.3)])
            pen.fill(ear * [side, tall], look.ear, look.edge)
            inner = oval(0.68, -0.85, 0.18, 0.2)
            pen.fill(inner * [side, tall], mix_colors(PINK, look.fur, 0.4))
        else:
            back = smooth([(0.2, -0.6), (0.42, -1.1), (0.85, -1.12), (0.9, -0.2)])
            flap = smooth([(0.4, -1.1), (0.86, -1.14), (1.18, -0.62), (1.1, -0.45), (0.72, -0.72)])
            pen.fill(back * [side, tall], look.ear, look.edge)
            pen.fill(flap * [side, tall], shade(look.ear, 0.85), look.edge)


def _draw_hanging_ears(pen: Pen, look: Look, rng: Generator, wide: float) -> None:
    drop, out = rng.uniform(0.35, 0.95), rng.uniform(0.25, 0.5)
    for side in (-1, 1):
        outer = [(0.3, -0.86), (0.62, -0.9), (0.72 + out, -0.45), (0.8 + out, drop - 0.3)]
        inner = [(0.7 + out / 2, drop), (0.66, drop - 0.3), (0.64, -0.35)]
        pen.fill(smooth(outer + inner) * [side * wide, 1], look.ear, look.edge)


def _draw_dog_eyes(pen: Pen, look: Look, rng: Generator) -> None:
    radius = rng.uniform(0.13, 0.17)
    for side in (-1, 1):
        x, y = side * 0.34, -0.2
        pen.fill(oval(x, y, radius, radius), look.iris, INK)
        pen.fill(oval(x, y, radius * 0.62, radius * 0.62), INK)
        pen.fill(oval(x + 0.05, y - 0.06, 0.045, 0.045), WHITE)
        brow = arc((x - 0.12, y - 0.24), (x + side * 0.02, y - 0.33), (x + 0.12, y - 0.24))
        pen.stroke([brow], look.edge, 0.04)


def _draw_dog_muzzle(pen: Pen, look: Look, rng: Generator) -> None:
    broad, long = rng.uniform(0.4, 0.52), rng.uniform(0.4, 0.5)
    chin = 0.42 + long
    if rng.random() < 0.5:
        tongue = [(0, chin - 0.15), (0.15, chin - 0.12), (0.17, chin + 0.22), (0, chin + 0.34)]
        pen.fill(both_sides(tongue), PINK, shade(PINK, 0.6))
        pen.stroke([[(0, chin), (0, chin + 0.18)]], shade(PINK, 0.75), 0.03)
    pen.fill(oval(0, 0.42, broad, long), look.muzzle, look.edge)
    mouth = [arc((0, 0.55), (side * 0.08, chin - 0.12), (side * 0.32, chin - 0.22)) for side in (-1, 1)]
    pen.stroke([*mouth, arc((0, 0.3), (0, 0.45), (0, 0.6))], look.edge, 0.04)
    pen.fill(both_sides([(0, 0.06), (0.21, 0.12), (0.17, 0.26), (0, 0.36)]), look.nose, INK)
    pen.fill(oval(-0.07, 0.14, 0.06, 0.03), mix_colors(look.nose, WHITE, 0.5))


def _draw_head(pen: Pen, look: Look, rng: Generator, head: Outline) -> None:
    ruffled = head * (1 + look.fluff * (np.arange(len(head)) % 4 - 1.5)[:, np.newaxis] / 1.5)
    pen.fill(ruffled, look.fur, look.edge)
    for factor in (0.88, 1.1):
        roots = rng.uniform(0, 0.72, (45, 1)) * unit(rng.uniform(0, 2 * np.pi, 45))
        hairs = np.stack([roots, roots * 1.06 + [0, 0.07]], axis=1)
        pen.stroke(hairs, shade(look.fur, factor), 0.012)
    pen.cover(ruffled, _markings(look.pattern, rng), look.marking)
