"""Draw a data set by code: heads of cats and dogs, the same bytes for the same seed.

A cat has upright pointed ears, slit pupils, a short muzzle and long whiskers; a dog has hanging, folded or round ears,
round pupils, a long muzzle and sometimes its tongue out. All other properties (size, pose, coat, colours, background,
light, file) are random with the same distribution for both classes, so that only the shapes reveal the class.

Pictures are uint8 (height, width, 3), red, green, blue.
"""

import struct
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.random import Generator
from pydantic import Field, model_validator

from pawline.drawn.animals import draw_body, draw_cat, draw_dog, random_look
from pawline.drawn.pen import Picture, random_pose
from pawline.drawn.photograph import draw_background, photograph
from pawline.errors import DatasetError
from pawline.params.record import Record

CLASS_NAMES = ("cat", "dog")


class GeneratedSet(Record):
    """The content of data/generated.yaml, which explains each key."""

    seed: int = Field(ge=0)
    num_images_per_class: int = Field(ge=10, le=9999)  # the planted copies use the first nine pictures
    min_side: int = Field(ge=64, le=2000)
    max_side: int = Field(ge=64, le=2000)
    planted_faults: bool

    @model_validator(mode="after")
    def sides_are_in_order(self) -> Self:
        if self.min_side > self.max_side:
            raise ValueError(f"min_side {self.min_side} is larger than max_side {self.max_side}")
        return self


def draw_data_set(spec: GeneratedSet, root: Path) -> None:
    """Write root/cat/0001.jpg ... root/dog/.... Raises DatasetError where `root` is a folder that is not empty.

    Each picture depends only on the seed, its class, its number, `min_side` and `max_side`.
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
    if number % 50 == 10:  # a few PNG files, every second file with an alpha channel
        return f"{number:04}.png", _encode_png(picture, alpha=number % 100 == 10)
    return f"{number:04}.jpg", _encode_jpeg(picture, quality)


def _draw_picture(spec: GeneratedSet, class_name: str, rng: Generator) -> Picture:
    height, width = _random_size(spec, rng)
    look = random_look(rng)
    canvas = draw_background(rng, look, height, width)
    pen = random_pose(rng, canvas)
    draw_body(pen, look, rng)
    draw_animal = {"cat": draw_cat, "dog": draw_dog}[class_name]
    draw_animal(pen, look, rng)
    return photograph(canvas, rng)


def _random_size(spec: GeneratedSet, rng: Generator) -> tuple[int, int]:
    long = rng.uniform(min(1.25 * spec.min_side, spec.max_side), spec.max_side)
    short = max(long * rng.uniform(0.6, 1), spec.min_side)
    height, width = (long, short) if rng.random() < 0.5 else (short, long)
    return round(height), round(width)


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
    pixels[:, :, 3] = cv2.GaussianBlur(
        oval, (0, 0), min(height, width) / 30
    )  # opaque in the middle, transparent in the corners
    return _encode(".png", pixels, [])


def _encode(suffix: str, pixels: MatLike, options: list[int]) -> bytes:
    encoded, data = cv2.imencode(suffix, pixels, options)
    assert encoded
    return data.tobytes()


# (class name, number, scale, JPEG quality): the same picture again, at another size or quality.
NEAR_COPIES = (("cat", 4, 0.7, 85), ("cat", 6, 1.3, 90), ("dog", 4, 0.8, 60), ("dog", 8, 1.0, 40))
EXACT_COPIES = (("cat", 3), ("dog", 5), ("dog", 9))
# (class name, EXIF orientation): new pictures, stored turned or mirrored as a camera stores them.
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
    seeds = [spec.seed, CLASS_NAMES.index(class_name), 0, orientation]  # no other picture has the number 0
    return _draw_picture(spec, class_name, np.random.default_rng(seeds))


def _store_turned(picture: Picture, orientation: int) -> bytes:
    """A JPEG with turned pixels and an EXIF tag, so that a viewer that applies the tag shows `picture`."""
    mirrored = picture[:, ::-1] if orientation == 2 else picture
    stored = np.rot90(mirrored, {2: 0, 3: 2, 6: 1, 8: 3}[orientation])  # quarter turns, anticlockwise
    data = _encode_jpeg(np.ascontiguousarray(stored), 90)
    return data[:2] + _exif_segment(orientation) + data[2:]


def _exif_segment(orientation: int) -> bytes:
    """An APP1 segment with one TIFF directory of one entry: tag 0x0112, type SHORT, one value."""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    payload = b"Exif\0\0" + tiff
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload
