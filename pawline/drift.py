"""Compare new pictures with those that a model learned from, and choose those that are worth a label."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

from pawline.errors import DatasetError
from pawline.judging.drift import MIN_EFFECT, ks, of_names
from pawline.judging.many_tests import ALPHA, holm
from pawline.label_queue import QUEUE_COLUMNS
from pawline.new_pictures import NewPicture
from pawline.runtime.reference import Reference

MIN_PICTURES = 20  # fewer say nothing
UNLIKE, UNSURE, SPREAD = "unlike the training data", "unsure", "evenly chosen"


class TooFewError(DatasetError):
    """There are too few new pictures to say anything; more may come."""


@dataclass(frozen=True)
class NewPictures:
    """table: one row per picture that could be read, copies once: path, digest, class (as predicted), probability,
    unsure and unlike ("yes" or "no"), distance, format, and the traits of pictures/appearance.py."""

    table: pd.DataFrame
    num_unreadable: int
    num_copies: int

    @classmethod
    def of(cls, pictures: Iterable[NewPicture]) -> "NewPictures":
        """Collect the answers. Raises TooFewError for fewer than MIN_PICTURES to compare."""
        rows, num_unreadable = [], 0
        for one in pictures:
            if one.prediction.error is None:
                rows.append(_row(one))
            else:
                num_unreadable += 1
        table = pd.DataFrame(rows)
        distinct = table.drop_duplicates("digest", ignore_index=True) if rows else table
        if len(distinct) < MIN_PICTURES:
            raise TooFewError(
                f"{len(distinct)} different pictures that can be read, expected at least {MIN_PICTURES} to compare: "
                "collect more, and ask again"
            )
        return cls(distinct, num_unreadable, len(table) - len(distinct))


def _row(one: NewPicture) -> dict[str, Any]:
    answer = one.prediction
    return {
        "path": one.path,
        "digest": one.digest,
        "class": answer.label,
        "probability": max((answer.probabilities or {}).values()),
        "unsure": "yes" if answer.unsure else "no",
        "unlike": "yes" if answer.unlike else "no",
        "distance": answer.distance,
        "format": one.format,
        **one.shape,
        **(answer.appearance or {}),
    }


@dataclass(frozen=True)
class Verdict:
    """What differs. table: from `compare`; smallest: the Kolmogorov-Smirnov distance, 0 to 1, below which a difference
    of a number would not have been seen."""

    table: pd.DataFrame
    num_pictures: int
    smallest: float

    @property
    def differing(self) -> list[str]:
        return [str(trait) for trait in self.table.loc[self.table["alarm"], "trait"]]

    @property
    def is_drift(self) -> bool:
        return bool(self.differing)

    def __str__(self) -> str:
        done = f"{len(self.table)} comparisons of {self.num_pictures} pictures, corrected for their number"
        if self.is_drift:
            verb = "differs" if len(self.differing) == 1 else "differ"
            return f"drift: {', '.join(self.differing)} {verb} from the training data ({done})"
        return f"no drift ({done}); a difference below {self.smallest:.2f} of 1 would not be seen in so few"


def judge(reference: Reference, new: NewPictures) -> Verdict:
    """Compare. A trait differs where its corrected p is below ALPHA and its effect at least MIN_EFFECT, as in the
    report's drift."""
    table = compare(reference, new.table)
    fewest = min(len(sample) for sample in reference.samples.values())
    # The distance that the test of two samples would reject at ALPHA / number of tests, the hardest that Holm asks for.
    level = np.sqrt(-np.log(ALPHA / len(table) / 2) / 2)
    smallest = max(float(level * np.sqrt(1 / fewest + 1 / len(new.table))), MIN_EFFECT)
    return Verdict(table, len(new.table), min(smallest, 1.0))


def compare(reference: Reference, new: pd.DataFrame) -> pd.DataFrame:
    """One row per trait, the largest effect first.

    new: see NewPictures. Columns: trait; name (of the share that differs most, else ""); training (the median, or the
    share of the name) and new with its 95 % interval, new_low and new_high (of order statistics, or Wilson's); effect
    (Kolmogorov-Smirnov distance, or Cramér's V, 0 to 1); p; p_corrected (Holm, over all rows); alarm."""
    rows = [_numbers(name, sample, new[name]) for name, sample in reference.samples.items() if name in new]
    rows += [_names(name, counts, new[name]) for name, counts in reference.counts.items() if name in new]
    columns = ["trait", "name", "training", "new", "new_low", "new_high", "effect", "p"]
    table = pd.DataFrame(rows, columns=columns)
    corrected = holm(table["p"].to_numpy(float))
    table = table.assign(p_corrected=corrected, alarm=(corrected < ALPHA) & (table["effect"] >= MIN_EFFECT))
    return table.sort_values(["effect", "trait"], ascending=[False, True], kind="stable", ignore_index=True)


def _numbers(name: str, sample: NDArray[np.float32], new: pd.Series) -> tuple[object, ...]:
    values = np.sort(new.to_numpy(float))
    # The median lies between two of the sorted values with 95 % probability, whatever the distribution.
    low, high = (int(rank) for rank in binom.ppf([0.025, 0.975], len(values), 0.5))
    medians = (
        float(np.median(sample)),
        float(np.median(values)),
        float(values[max(low - 1, 0)]),
        float(values[high]),
    )
    return (name, "", *medians, *ks(sample.astype(float), values))


def _names(trait: str, counts: dict[str, int], new: pd.Series) -> tuple[object, ...]:
    found = {str(name): int(count) for name, count in new.value_counts().items()}
    names = sorted({*counts, *found})
    before = np.array([counts.get(name, 0) for name in names])
    after = np.array([found.get(name, 0) for name in names])
    shares, new_shares = before / before.sum(), after / after.sum()
    place = int(np.abs(shares - new_shares).argmax())
    if {*names} <= {"yes", "no"}:
        place = names.index("yes") if "yes" in names else place
    interval = binomtest(int(after[place]), int(after.sum())).proportion_ci(0.95, method="wilson")
    shown = (
        names[place],
        float(shares[place]),
        float(new_shares[place]),
        float(interval.low),
        float(interval.high),
    )
    return (trait, *shown, *of_names(before, after))


def label_queue(new: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most `count` pictures worth a label, with the columns QUEUE_COLUMNS.

    A third each: the farthest from the training data among those unlike it; the least sure of the unsure; and others
    evenly over classes and probabilities, so that the labels also show how often the model is right. Where one kind has
    fewer, the evenly chosen ones are more."""
    third = -(-count // 3)
    unlike = new[new["unlike"] == "yes"].sort_values(["distance", "path"], ascending=[False, True]).head(third)
    rest = new.drop(unlike.index)
    unsure = rest[rest["unsure"] == "yes"].sort_values(["probability", "path"])
    unsure = unsure.head(min(third, count - len(unlike)))
    rest = rest.drop(unsure.index).sort_values(["class", "probability", "path"])
    wanted = min(count - len(unlike) - len(unsure), len(rest))
    spread = rest.iloc[np.linspace(0, len(rest) - 1, max(wanted, 0)).round().astype(int)]
    chosen = [part.assign(why=why) for part, why in ((unlike, UNLIKE), (unsure, UNSURE), (spread, SPREAD))]
    return pd.concat(chosen, ignore_index=True).rename(columns={"class": "suggested"})[list(QUEUE_COLUMNS)]
