"""Compare two trained models by their predictions of the same test pictures, paired by content.

A picture counts where both models judged it without having learned from it, and under the same class. What is left out
is counted by reason.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.errors import DatasetError
from pawline.judging.paired import (
    METRICS,
    SIGNIFICANCE,
    Difference,
    SignTest,
    detectable_difference,
    mcnemar,
    paired_bootstrap,
)
from pawline.judging.predictions import PROBABILITY, classes_of
from pawline.linked_groups import linked
from pawline.parts import num_per_part
from pawline.terminal import listed

BETTER, WORSE, CANNOT_TELL, SAME = "better", "worse", "can't tell", "the same"


@dataclass(frozen=True)
class JudgedModel:
    """One of the two models: its predictions of its test part, and what it learned from.

    predictions: digest, group, path, actual, predicted and a probability per class; learned_from: the digests of its
    train and val parts (val chose its weights); num_images: pictures per part; labels: digest, label (a class name) and
    split of all its pictures, each content once; model_digest: SHA-256 of the model file; temperature: what divides its
    logits. Where one of the last three is not known, it is empty or None."""

    name: str
    predictions: pd.DataFrame
    learned_from: frozenset[str]
    num_images: Mapping[str, int]
    params: Mapping[str, str]
    data_digest: str = ""
    labels: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["digest", "label", "split"]))
    model_digest: str = ""
    temperature: float | None = None

    @property
    def class_names(self) -> list[str]:
        return classes_of(self.predictions)


@dataclass(frozen=True)
class Changed:
    """A picture that one model alone names right. first, second: their answers; first_probability and
    second_probability: what each gave to its own answer."""

    digest: str
    path: str
    actual: str
    first: str
    first_probability: float
    second: str
    second_probability: float


@dataclass(frozen=True)
class Corrected:
    """A second figure where the second run has another class for shared test pictures: both models on its classes.

    num_changed, num_pictures: such pictures, and all; first, second: accuracies; p_value: of the same test."""

    num_changed: int
    num_pictures: int
    first: float
    second: float
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """What `compare` finds about the second model beside the first.

    left_out: number of pictures by reason; metrics: by the names of METRICS; fixed, broken: pictures that the second
    model alone, or the first alone, names right; p_value, verdict: of accuracy; detectable: the smallest difference of
    accuracy that so many pictures can tell; corrected: None where no class differs; params: both values of each param
    that differs; data: see `_data`."""

    first: str
    second: str
    num_pictures: int
    num_groups: int
    left_out: dict[str, int]
    metrics: dict[str, Difference]
    num_fixed: int
    num_broken: int
    p_value: float
    detectable: float
    verdict: str
    summary: str
    corrected: Corrected | None
    fixed: list[Changed]
    broken: list[Changed]
    params: dict[str, tuple[str | None, str | None]]
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def is_same_model(self) -> bool:
        """Whether both are one model file, which gave the same answers."""
        return bool(self.data["same_model"]) and not self.num_fixed + self.num_broken

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(first: JudgedModel, second: JudgedModel) -> Comparison:
    """Compare the second model with the first.

    Raises DatasetError where they know different classes, or share no test picture that counts."""
    _refuse_other_classes(first, second)
    shared, left_out = _shared(first, second)
    pairs = shared[shared["actual_1"] == shared["actual"]].reset_index(drop=True)
    if pairs.empty:
        _refuse_without_pairs(first, second, left_out)
    first_right, second_right, groups = _right(pairs)
    test = mcnemar(first_right, second_right, groups)
    metrics = _metrics(pairs, first.class_names, groups)
    num_groups, num_disagreements = int(groups.max()) + 1, test.num_fixed + test.num_broken
    detectable = detectable_difference(num_groups, num_disagreements)
    verdict, is_same = _verdict(test, metrics["accuracy"]), _is_same_model(first, second) and not num_disagreements
    fixed, broken = pairs[second_right & ~first_right], pairs[first_right & ~second_right]
    return Comparison(
        first=first.name,
        second=second.name,
        num_pictures=len(pairs),
        num_groups=num_groups,
        left_out=left_out,
        metrics=metrics,
        num_fixed=len(fixed),
        num_broken=len(broken),
        p_value=test.p_value,
        detectable=detectable,
        verdict=verdict,
        summary=_summary(SAME if is_same else verdict, metrics["accuracy"], test, len(pairs), detectable),
        corrected=_corrected(shared, len(shared) - len(pairs)),
        fixed=_changed(fixed),
        broken=_changed(broken),
        params=_differences(first.params, second.params),
        data=_data(first, second),
    )


def _metrics(pairs: pd.DataFrame, names: list[str], groups: NDArray[np.int64]) -> dict[str, Difference]:
    """Each of METRICS of both models, and the difference."""
    return paired_bootstrap(
        np.array([names.index(name) for name in pairs["actual"]], np.int64),
        _probabilities(pairs, names, 1),
        _probabilities(pairs, names, 2),
        groups,
        metrics={name: of for name, (of, _) in METRICS.items()},
    )


def _refuse_without_pairs(first: JudgedModel, second: JudgedModel, left_out: Mapping[str, int]) -> NoReturn:
    reasons = "; ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
    raise DatasetError(
        f"{first.name} and {second.name} share no test pictures that can be compared ({reasons}); compare runs of "
        "the same data set, or of one that grew, with the same split params"
    )


def _refuse_other_classes(first: JudgedModel, second: JudgedModel) -> None:
    if {*first.class_names} != {*second.class_names}:
        only = [
            sorted({*one.class_names} - {*other.class_names}) for one, other in ((first, second), (second, first))
        ]
        lists = "; ".join(
            f"only {side.name} knows {listed(map(repr, names), 5)}"
            for side, names in zip((first, second), only, strict=True)
            if names
        )
        raise DatasetError(
            f"{first.name} and {second.name} know different classes ({lists}); compare models of the same classes"
        )


def _shared(first: JudgedModel, second: JudgedModel) -> tuple[pd.DataFrame, dict[str, int]]:
    """Pair the pictures: (one row per shared picture, the number of pictures left out by reason).

    The columns of both runs are numbered 1 and 2; `actual` is the class in the second run."""
    one, other = (_once(side.predictions) for side in (first, second))
    left_out = {
        "more copies of a picture": sum(len(side.predictions) for side in (first, second)) - len(one) - len(other),
        f"that {second.name} learned from": int(one["digest"].isin(second.learned_from).sum()),
        f"that {first.name} learned from": int(other["digest"].isin(first.learned_from).sum()),
    }
    one = one[~one["digest"].isin(second.learned_from)]
    other = other[~other["digest"].isin(first.learned_from)]
    pairs = one.merge(other, on="digest", suffixes=("_1", "_2"), validate="one_to_one")
    left_out["that only one of them judged"] = len(one) + len(other) - 2 * len(pairs)
    left_out["with another class in the other run"] = int((pairs["actual_1"] != pairs["actual_2"]).sum())
    return pairs.rename(columns={"actual_2": "actual", "path_2": "path"}).sort_values("digest"), left_out


def _right(pairs: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]:
    """Judge both models: (right by the first, right by the second, group numbers from 0), each (n,)."""
    first, second = ((pairs[f"predicted_{number}"] == pairs["actual"]).to_numpy(bool) for number in (1, 2))
    return first, second, linked([pairs["group_1"], pairs["group_2"]])


def _corrected(shared: pd.DataFrame, num_changed: int) -> Corrected | None:
    """Judge both on the classes of the second run; None where they are those of the first."""
    if not num_changed:
        return None
    first_right, second_right, groups = _right(shared)
    return Corrected(
        num_changed,
        len(shared),
        float(first_right.mean()),
        float(second_right.mean()),
        mcnemar(first_right, second_right, groups).p_value,
    )


def _once(predictions: pd.DataFrame) -> pd.DataFrame:
    """Each content once, under the first of its classes where copies stand under several."""
    return predictions.sort_values(["digest", "actual"]).drop_duplicates("digest")


def _probabilities(pairs: pd.DataFrame, names: list[str], number: int) -> NDArray[np.float64]:
    """The probabilities of one run, float64 (n, num_classes).

    They were written with six digits, so two may be equal: the class that was chosen stays the largest."""
    values = pairs[[f"{PROBABILITY}{name}_{number}" for name in names]].to_numpy(np.float64, copy=True)
    chosen = [names.index(name) for name in pairs[f"predicted_{number}"]]
    values[np.arange(len(values)), chosen] += 1e-9
    return values


def _changed(pairs: pd.DataFrame) -> list[Changed]:
    return [
        Changed(
            digest=row["digest"],
            path=row["path"],
            actual=row["actual"],
            first=row["predicted_1"],
            first_probability=float(row[f"{PROBABILITY}{row['predicted_1']}_1"]),
            second=row["predicted_2"],
            second_probability=float(row[f"{PROBABILITY}{row['predicted_2']}_2"]),
        )
        for row in pairs.to_dict("records")
    ]


def _verdict(test: SignTest, accuracy: Difference) -> str:
    """The verdict of accuracy. It is CANNOT_TELL where groups and pictures point in opposite directions."""
    if test.p_value >= SIGNIFICANCE or (test.num_fixed > test.num_broken) != (accuracy.difference > 0):
        return CANNOT_TELL
    return BETTER if accuracy.difference > 0 else WORSE


def _summary(verdict: str, accuracy: Difference, test: SignTest, num_pictures: int, detectable: float) -> str:
    if verdict == SAME:
        return (
            f"A and B are the same model: accuracy {accuracy.first:.1%} for both, on {num_pictures:,} pictures; where "
            "other figures of the two runs differ, labels or the temperature do, not what was learned"
        )
    change = f"accuracy {accuracy.first:.1%} -> {accuracy.second:.1%}, {points(accuracy.difference)} points"
    interval = f"95 % interval {points(accuracy.low)} to {points(accuracy.high)}, p = {test.p_value:.2g}"
    if verdict == CANNOT_TELL:
        num_disagreements = test.num_fixed + test.num_broken
        verb = "is" if num_disagreements == 1 else "are"
        return (
            f"can't tell with {num_pictures:,} pictures: {change} ({interval}); {num_disagreements:,} {verb} named "
            f"right by one run alone, so a difference would show from about {100 * detectable:.1f} points on"
        )
    return f"B is {verdict} than A: {change} ({interval}), on {num_pictures:,} pictures"


def _is_same_model(first: JudgedModel, second: JudgedModel) -> bool:
    return bool(first.model_digest) and first.model_digest == second.model_digest


def points(fraction: float) -> str:
    """A difference of fractions in percentage points, with its sign: +1.2"""
    return f"{100 * fraction:+.1f}"


def _differences(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    keys = sorted({*first, *second})
    return {key: (first.get(key), second.get(key)) for key in keys if first.get(key) != second.get(key)}


def _data(first: JudgedModel, second: JudgedModel) -> dict[str, Any]:
    """Whether both had the same data and split, the pictures per part, and how many each alone learned from.

    labels_changed: of the pictures that both have, those with another class in the second run, by its parts; num_moved:
    those in another part; both None where labels are not known. same_model: whether both are one model file;
    temperatures: of both."""
    return {
        **_labels(first.labels, second.labels),
        "same_model": _is_same_model(first, second),
        "temperatures": [first.temperature, second.temperature],
        "same": bool(first.data_digest) and first.data_digest == second.data_digest,
        "num_images": [dict(first.num_images), dict(second.num_images)],
        "learned_from_by_first_alone": len(first.learned_from - second.learned_from),
        "learned_from_by_second_alone": len(second.learned_from - first.learned_from),
    }


def _labels(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, Any]:
    if first.empty or second.empty:
        return {"labels_changed": None, "num_moved": None}
    both = first.merge(second, on="digest", suffixes=("_1", "_2"))
    return {
        "labels_changed": num_per_part(both.loc[both["label_1"] != both["label_2"], "split_2"]),
        "num_moved": int((both["split_1"] != both["split_2"]).sum()),
    }
