"""What people and web sites do to a photograph before they save it again."""

from collections.abc import Callable

import cv2
import numpy as np

Picture = np.ndarray  # uint8 (height, width, 3), blue, green, red, or (height, width)
Change = Callable[[Picture, np.random.Generator], bytes]


def save(image: Picture, quality: int = 90, suffix: str = ".jpg") -> bytes:
    setting = cv2.IMWRITE_WEBP_QUALITY if suffix == ".webp" else cv2.IMWRITE_JPEG_QUALITY
    return cv2.imencode(suffix, image, [setting, quality])[1].tobytes()


def size(image: Picture, across: float, down: float | None = None) -> Picture:
    how = cv2.INTER_AREA if across < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=across, fy=down or across, interpolation=how)


def crop(image: Picture, fraction: float, rng: np.random.Generator) -> Picture:
    """Without `fraction` of the height and of the width, taken off both ends in random shares."""
    height, width = image.shape[:2]
    down, across = round(fraction * height), round(fraction * width)
    top, left = rng.integers(down + 1), rng.integers(across + 1)
    return np.ascontiguousarray(image[top : height - down + top, left : width - across + left])


def turn(image: Picture, degrees: float) -> Picture:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def write_on(image: Picture) -> Picture:
    height, width = image.shape[:2]
    return cv2.putText(image.copy(), "COPYRIGHT", (width // 10, height // 2), 0, width / 200, (255, 255, 255), 2)


CHANGES: dict[str, Change] = {
    "a third of the size": lambda image, _: save(size(image, 1 / 3)),
    "half the size": lambda image, _: save(size(image, 0.5)),
    "twice the size": lambda image, _: save(size(image, 2)),
    "another aspect, 70 % as wide": lambda image, _: save(size(image, 0.7, 1)),
    "JPEG, quality 30": lambda image, _: save(image, 30),
    "JPEG, quality 50": lambda image, _: save(image, 50),
    "JPEG, quality 75": lambda image, _: save(image, 75),
    "WebP, quality 50": lambda image, _: save(image, 50, ".webp"),
    "mirrored": lambda image, _: save(image[:, ::-1]),
    "mirrored, half the size, quality 50": lambda image, _: save(size(image[:, ::-1], 0.5), 50),
    "brighter by 25 of 255": lambda image, _: save(cv2.convertScaleAbs(image, alpha=1, beta=25)),
    "darker by 25 of 255": lambda image, _: save(cv2.subtract(image, np.full_like(image, 25))),
    "three quarters of the contrast": lambda image, _: save(cv2.convertScaleAbs(image, alpha=0.75, beta=32)),
    "gamma 0.7 or 1.4": lambda image, rng: save(np.uint8(255 * (image / 255) ** rng.choice([0.7, 1.4]))),
    "grayscale": lambda image, _: save(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)),
    "cropped by 2 %": lambda image, rng: save(crop(image, 0.02, rng)),
    "cropped by 3 %": lambda image, rng: save(crop(image, 0.03, rng)),
    "cropped by 5 %": lambda image, rng: save(crop(image, 0.05, rng)),
}
BEYOND: dict[str, Change] = {  # nothing is promised: this is where it ends
    "cropped by 8 %": lambda image, rng: save(crop(image, 0.08, rng)),
    "cropped by 12 %": lambda image, rng: save(crop(image, 0.12, rng)),
    "turned by 2 degrees": lambda image, _: save(turn(image, 2)),
    "turned by 5 degrees": lambda image, _: save(turn(image, 5)),
    "a word written across": lambda image, _: save(write_on(image)),
}
