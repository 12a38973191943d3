"""Measure the pictures that a model learned from, so that others unlike them can be found: see runtime/reference.py."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.judging.evenly import evenly
from pawline.judging.many_tests import one_of_each_group
from pawline.judging.traits import FORMAT, measure_traits, numeric_traits
from pawline.pictures.appearance import APPEARANCE
from pawline.prepared import PreparedImages
from pawline.runtime.model import RuntimeModel
from pawline.runtime.reference import FALSE_ALARMS, NUM_AXES, Reference, looks
from pawline.side_by_side import side_by_side
from pawline.softmax import softmax

MAX_MEASURED = 2000  # pictures of train, and of val: their number bounds the time
MAX_SAMPLE = 500  # values of a trait that are kept
MIN_IMAGES = 20  # of train, and of val: fewer state no useful limit
TINY = 1e-4  # of the mean variance: no direction has less, so that none divides by zero


def measure_reference(
    model: RuntimeModel, images: PreparedImages, index: pd.DataFrame, split: pd.DataFrame
) -> Reference | None:
    """Measure train pictures; val, which the model did not learn from, sets the limits. None where one of both has
    fewer pictures than MIN_IMAGES, or the model gives no features.

    index: the table of all files; split: the images in use, from split_images. One picture of each group counts."""
    train, val = (_traits(part, images, index, split) for part in ("train", "val"))
    if len(val) < MIN_IMAGES or len(train) < MIN_IMAGES or "features" not in model.card.outputs:
        return None
    (_, learned), (logits, held_out) = (_ask(model, images, table) for table in (train, val))
    names = [name for name in APPEARANCE if name in train]
    looked, look_of_val = (looks(table[names].to_dict("records")) for table in (train, val))  # type: ignore[arg-type]
    measured = _without_limits(learned, looked, train)
    by_features, by_look = measured.feature_distances(held_out), measured.look_distances(look_of_val)
    features_limit, features_rate = limit(by_features, FALSE_ALARMS / 2)
    # No network learned the look of train pictures, so they count too.
    look_limit, look_rate = limit(np.append(measured.look_distances(looked), by_look), FALSE_ALARMS / 2)
    distance = np.maximum(by_features / features_limit, by_look / look_limit)
    probabilities = softmax(logits, model.card.temperature)
    return replace(
        measured,
        false_alarms=round(features_rate + look_rate, 6),
        features_limit=features_limit,
        look_limit=look_limit,
        samples=measured.samples | {"distance": _sample(distance)},
        counts={
            FORMAT: dict(Counter(train[FORMAT].tolist())),
            **_answers(model, probabilities, distance),
        },
    )


def _without_limits(learned: NDArray[np.float32], looked: NDArray[np.float64], train: pd.DataFrame) -> Reference:
    """Measure train pictures; distances by it are raw, since both limits are 1.

    learned: features (n, num_features); looked: (n, m), from `looks`; train: their traits."""
    center, axes, variances, other = main_axes(learned)
    return Reference(
        false_alarms=0.0,
        center=center,
        axes=axes,
        variances=variances,
        other_variance=other,
        features_limit=1.0,
        look=looked.mean(axis=0).astype(np.float32),
        look_inverse=_inverse(looked),
        look_limit=1.0,
        samples={name: _sample(train[name].to_numpy(float)) for name in numeric_traits(train)},
        counts={},
    )


def main_axes(
    features: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], float]:
    """(mean, main axes, variances along them, mean variance in every other direction) of features (n, num_features)."""
    values = features.astype(np.float64)
    center = values.mean(axis=0)
    found, vectors = np.linalg.eigh(np.cov(values.T, bias=True).reshape(len(center), len(center)))
    count = min(NUM_AXES, len(center))
    least = TINY * max(float(found.mean()), TINY)
    other = max(float(found[:-count].mean() if count < len(found) else found[0]), least)
    return (
        center.astype(np.float32),
        vectors[:, ::-1][:, :count].T.astype(np.float32),
        np.maximum(found[::-1][:count], other).astype(np.float32),
        other,
    )


def limit(distances: NDArray[np.float64], rate: float) -> tuple[float, float]:
    """(the limit that at most `rate` of other pictures like these exceed, the share that it promises in fact).

    distances: of n pictures, (n,). Of n + 1 pictures drawn from one source, each has the same chance to be the farthest
    (conformal prediction, Vovk et al., 2005). So the limit is one of the n distances, and less than 1 / (n + 1) cannot
    be promised."""
    count = len(distances)
    rank = min(int(np.ceil(round((count + 1) * (1 - rate), 6))), count)
    return max(float(np.sort(distances)[rank - 1]), TINY), 1 - rank / (count + 1)


def _traits(part: str, images: PreparedImages, index: pd.DataFrame, split: pd.DataFrame) -> pd.DataFrame:
    of_part = one_of_each_group(split[split["split"] == part].sort_values(["digest", "path"]))
    chosen = evenly(len(of_part), MAX_MEASURED)
    return measure_traits(images, index, images.rows_of(of_part["path"].iloc[chosen]))


def _ask(
    model: RuntimeModel, images: PreparedImages, table: pd.DataFrame
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Ask the model about the pictures of a table, by their paths: (logits, features), float32 (n, …) each."""

    def ask(rows: list[int]) -> list[tuple[Any, ...]]:
        answers = model.engine.ask_for(images.pixels(np.asarray(rows, np.int64)), ("logits", "features"))
        return list(zip(*answers, strict=True))

    logits, features = zip(
        *side_by_side(ask, images.rows_of(table["path"]).tolist(), model.batch_size), strict=True
    )
    return np.array(logits), np.array(features)


def _inverse(looked: NDArray[np.float64]) -> NDArray[np.float32]:
    """The inverse of the covariance, (m, m); a trait that never varies counts as one that hardly does."""
    covariance = np.cov(looked.T, bias=True)
    return np.linalg.inv(covariance + TINY * np.diag(np.maximum(np.diag(covariance), 1))).astype(np.float32)


def _sample(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """At most MAX_SAMPLE of the values, sorted and evenly chosen."""
    chosen = np.linspace(0, len(values) - 1, min(len(values), MAX_SAMPLE)).round().astype(np.int64)
    return np.sort(values)[chosen].astype(np.float32)


def _answers(
    model: RuntimeModel, probabilities: NDArray[np.float32], distance: NDArray[np.float64]
) -> dict[str, dict[str, int]]:
    """How often each class is predicted, and how many pictures are unsure and unlike."""
    predicted = np.bincount(probabilities.argmax(axis=1), minlength=len(model.card.class_names)).tolist()
    unsure = int((probabilities.max(axis=1) < np.float32(model.card.unsure_below)).sum())
    unlike = int((distance > 1).sum())
    return {
        "class": dict(zip(model.card.class_names, predicted, strict=True)),
        "unsure": {"no": len(distance) - unsure, "yes": unsure},
        "unlike": {"no": len(distance) - unlike, "yes": unlike},
    }
