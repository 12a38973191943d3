"""How far a picture is from those that the model learned from. judging/reference.py measures what this module reads.

Two distances count, and the larger one decides:

- in the last features of the network: Mahalanobis's distance, with the variance along the NUM_AXES main axes and one
  variance for everything else (a covariance of rank NUM_AXES plus a multiple of the identity, as in probabilistic
  principal component analysis: Tipping, Bishop, 1999). It finds other things, and scrambled ones.
- in light, contrast, sharpness and colour, see pictures/appearance.py: Mahalanobis's distance too. It finds pictures
  that are dark, blurred or empty, which a network often answers like anything else.

Both are scaled so that 1 is the limit. Of pictures like those that the model learned from, half of FALSE_ALARMS exceed
the one limit, and half the other.
"""

import base64
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUM_AXES = 32
FALSE_ALARMS = 0.01


@dataclass(frozen=True)
class Reference:
    """The content of `reference` in export.json: means, axes and variances of the pictures that a model learned from.

    false_alarms: at most this share of pictures like those of the data exceeds the limit.
    center: float32 (num_features,); axes: float32 (k, num_features), of length 1; variances: float32 (k,), along the
    axes; other_variance: in every other direction; features_limit: the distance that counts as 1.
    look, look_inverse, look_limit: the same of `looks`: its mean (m,), the inverse of its covariance (m, m).
    samples: of each trait some values, float32, sorted: appearance and file of train pictures, `distance` of val.
    counts: how often each name occurs: `format` in train, and in val `class` (as predicted), `unsure` and `unlike`."""

    false_alarms: float
    center: NDArray[np.float32]
    axes: NDArray[np.float32]
    variances: NDArray[np.float32]
    other_variance: float
    features_limit: float
    look: NDArray[np.float32]
    look_inverse: NDArray[np.float32]
    look_limit: float
    samples: dict[str, NDArray[np.float32]]
    counts: dict[str, dict[str, int]]

    def distances(
        self, features: NDArray[np.float32], appearances: Iterable[Mapping[str, float]]
    ) -> NDArray[np.float64]:
        """The distance of each picture, float64 (n,): more than 1 is unlike the pictures that the model learned from.

        features: float32 (n, num_features), of the engine; appearances: of each picture, see pictures/appearance.py."""
        return np.maximum(self.feature_distances(features), self.look_distances(looks(appearances)))

    def feature_distances(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The distances of features, float32 (n, num_features): float64 (n,)."""
        off = features.astype(np.float64) - self.center
        along = off @ self.axes.T.astype(np.float64)
        across = np.maximum((off**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        squared = (along**2 / self.variances).sum(axis=1) + across / self.other_variance
        return np.asarray(np.sqrt(squared) / self.features_limit, np.float64)

    def look_distances(self, looked: NDArray[np.float64]) -> NDArray[np.float64]:
        """The distances of rows of `looks`, float64 (n, m): float64 (n,)."""
        off = looked - self.look
        squared = np.einsum("ni,ij,nj->n", off, self.look_inverse.astype(np.float64), off)
        return np.asarray(np.sqrt(np.maximum(squared, 0)) / self.look_limit, np.float64)

    def to_json(self) -> dict[str, Any]:
        """The content as JSON: arrays as text, base64 of little-endian float32."""
        values = dict(vars(self))
        arrays = ("center", "axes", "variances", "look", "look_inverse")
        values |= {name: _packed(values[name]) for name in arrays}
        return values | {"samples": {name: _packed(sample) for name, sample in self.samples.items()}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Reference":
        """Read it again. Raises ValueError, KeyError or TypeError for what `to_json` did not write."""
        center, variances, look = (_unpacked(values[name]) for name in ("center", "variances", "look"))
        numbers = ("false_alarms", "other_variance", "features_limit", "look_limit")
        return cls(
            **{name: float(values[name]) for name in numbers},
            center=center,
            axes=_unpacked(values["axes"]).reshape(len(variances), len(center)),
            variances=variances,
            look=look,
            look_inverse=_unpacked(values["look_inverse"]).reshape(len(look), len(look)),
            samples={name: _unpacked(text) for name, text in values["samples"].items()},
            counts={name: dict(counts) for name, counts in values["counts"].items()},
        )


def looks(appearances: Iterable[Mapping[str, float]]) -> NDArray[np.float64]:
    """Appearances as vectors, float64 (n, 3 or 4). Sharpness and colour are skewed, so their logarithms count."""
    skewed = ("sharpness", "colour")
    return np.array(
        [[math.log1p(value) if name in skewed else value for name, value in one.items()] for one in appearances]
    )


def _packed(array: NDArray[np.float32]) -> str:
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()


def _unpacked(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
