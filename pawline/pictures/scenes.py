"""The scene that many pictures share: the view of a fixed camera, or of a burst.

What tells such pictures apart is small beside what they share, so they count as copies wherever whole pictures are
compared. Here the mean of the pictures is taken away from each, scaled to its light, and only the rest is compared.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pawline.pictures.decode import Pixels
from pawline.pictures.thumbnails import Pictures, thumbnails

SIDE = 64
MIN_SHARED = 0.5  # correlation of a picture with the scene that it shows

Numbers = NDArray[np.int64]
Floats = NDArray[np.float32]
ReadPictures = Callable[[Numbers], Pictures]


@dataclass(frozen=True)
class Scene:
    """light: float32 (SIDE, SIDE), the mean of the pictures, less its own mean."""

    light: Floats

    @classmethod
    def of(cls, numbers: Numbers, pictures: ReadPictures) -> "Scene":
        total = np.zeros((SIDE, SIDE), np.float64)
        for chunk in _chunks(numbers):
            total += thumbnails(pictures(chunk), SIDE).sum(axis=0, dtype=np.float64)  # whole numbers, hence exact
        return cls((total / len(numbers) - total.mean() / len(numbers)).astype(np.float32))

    def taken_away(self, pictures: Pictures) -> Pixels:
        """uint8 (n, SIDE, SIDE, 1): 128 where a picture, scaled to the scene's light, shows the scene; else 128 and the
        difference."""
        rest, _ = self._fit(pictures)
        return np.asarray(np.rint(rest + 128).clip(0, 255).astype(np.uint8)[..., None])

    def is_seen_in(self, numbers: Numbers, pictures: ReadPictures) -> NDArray[np.bool_]:
        """bool (n,): whether each picture shows this scene."""
        shared = [self._fit(pictures(chunk))[1] for chunk in _chunks(numbers)]
        return np.concatenate([np.empty(0, bool), *(correlation >= MIN_SHARED for correlation in shared)])

    @staticmethod
    def equal_pictures(numbers: Numbers, pictures: ReadPictures) -> Numbers:
        """int64 (m, 2): links between positions in `numbers` of pictures that are equal pixel by pixel."""
        digests = [
            hashlib.sha256(picture.tobytes()).digest() for chunk in _chunks(numbers) for picture in pictures(chunk)
        ]
        first = {digest: place for place, digest in reversed(list(enumerate(digests)))}
        return np.array([(first[digest], place) for place, digest in enumerate(digests)], np.int64).reshape(-1, 2)

    def _fit(self, pictures: Pictures) -> tuple[Floats, Floats]:
        """(What remains of each picture in the scene's light, float32 (n, SIDE, SIDE); its correlation with the scene,
        float32 (n,))."""
        light = thumbnails(pictures, SIDE).astype(np.float32)
        light -= light.mean(axis=(1, 2), keepdims=True)
        shared = (light * self.light).sum(axis=(1, 2))
        energy = max(float((self.light**2).sum()), 1e-6)
        slope = (shared / energy).clip(0.25, 4)[:, None, None]
        rest = light / slope - self.light
        length = np.sqrt(np.maximum((light**2).sum(axis=(1, 2)) * energy, 1e-6))
        return rest, np.asarray(shared / length, np.float32)


def _chunks(numbers: Numbers) -> Iterator[Numbers]:
    for start in range(0, len(numbers), 256):
        yield numbers[start : start + 256]
