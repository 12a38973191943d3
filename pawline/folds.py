"""Judge every picture by a model that did not train on it (cross-validation), and measure the recipe by that.

Copies, near-duplicates and pictures of one group that the user names are in one fold. The fold of a group is a hash of
its key, so it stays when pictures are added. Each fold trains with the params of today; the pictures on which it
chooses its epoch (val) are taken from its own training groups.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.errors import DatasetError, ParamsError
from pawline.judging.clustered import accuracy_interval
from pawline.judging.paired import METRICS
from pawline.judging.predictions import PROBABILITY, classes_of, probabilities_of
from pawline.linked_groups import group_keys
from pawline.params.split import SplitParams
from pawline.params.train import TrainParams
from pawline.part_by_hash import PARTS, TRAIN, VAL, hash_fraction, parts_by_hash
from pawline.series import OneTraining, Series

INTERVAL_OF = "the recipe (network, params and data of this kind), not the shipped model"

Folds = NDArray[np.int64]


@dataclass(frozen=True)
class FoldPlan:
    """The trainings of `count` folds. split: the images in use, from split_images; its parts play no role. keys: of the
    groups that stay together, (n,)."""

    split: pd.DataFrame
    keys: pd.Series
    folds: Folds
    count: int
    split_params: SplitParams
    train_params: TrainParams

    @classmethod
    def of(
        cls,
        split: pd.DataFrame,
        count: int,
        class_names: list[str],
        split_params: SplitParams,
        train_params: TrainParams,
    ) -> "FoldPlan":
        """Plan `count` folds of the split.

        Raises ParamsError for fewer than two folds, DatasetError where a class has fewer groups than folds or no
        picture is left to choose an epoch with."""
        folds = assign_folds(split, count, class_names, split_params.seed)
        plan = cls(split, group_keys(split), folds, count, split_params, train_params)
        for name in plan.names:
            table = plan.training(name).split
            if "val" not in set(table["split"]):
                raise DatasetError(f"{count} folds leave no picture for val beside each fold; add pictures")
            unknown = {*table["label"]} - {*table.loc[table["split"] == "train", "label"]}
            if unknown:
                raise DatasetError(
                    f"{count} folds: one would train without a picture of '{class_names[min(unknown)]}', whose groups "
                    "hold other classes too; try another number of folds, or add pictures of the class alone"
                )
        return plan

    @property
    def names(self) -> list[str]:
        return [f"fold-{fold + 1}-of-{self.count}" for fold in range(self.count)]

    def training(self, name: str, series: Series | None = None) -> OneTraining:
        """The training of a fold, its test; val is cut from the rest by group, `split.val_fraction` of it."""
        fold = self.names.index(name)
        given = pd.Series(np.where(self.folds == fold, "test", ""), self.split.index)
        salted = self.keys.map(lambda key: f"val of fold {fold} {key}")  # another val for each fold
        labels = self.split["label"].to_numpy(np.int64)
        parts, _ = parts_by_hash(salted, labels, given, self.split_params)
        # The classes fill up val on their own; a group of several classes follows its first picture.
        parts = pd.Series(parts, self.split.index).groupby(self.keys).transform("first").to_numpy(copy=True)
        without_train = np.setdiff1d(labels, labels[parts == TRAIN])  # val took the only group of such a class
        parts[np.isin(labels, without_train) & (parts == VAL)] = TRAIN
        return OneTraining(name, self.split.assign(split=np.array(PARTS)[parts]), self.train_params)


def assign_folds(split: pd.DataFrame, count: int, class_names: list[str], seed: int) -> Folds:
    """The fold of each picture: (n,), from 0. Every fold holds every class, as far as groups of several classes allow.

    A class whose hashes leave a fold empty is dealt out evenly instead, in the order of the hashes; its pictures may
    move when it grows."""
    if count < 2:
        raise ParamsError(f"N is {count}: at least 2 folds are needed, 5 or 10 are usual")
    keys = group_keys(split)
    groups = pd.DataFrame({"key": keys, "label": split["label"]}).drop_duplicates("key")
    _refuse_rare(keys, split["label"], count, class_names)
    fractions = groups["key"].map(lambda key: hash_fraction(f"fold {key}", seed)).to_numpy(float)
    folds = (fractions * count).astype(np.int64)
    labels = groups["label"].to_numpy()
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(np.unique(folds[rows])) < count:
            rank = np.argsort(np.argsort(fractions[rows]))
            folds[rows] = rank * count // len(rows)
    return np.asarray(keys.map(dict(zip(groups["key"], folds, strict=True))), np.int64)


def _refuse_rare(keys: pd.Series, labels: pd.Series, count: int, class_names: list[str]) -> None:
    num_groups = keys.groupby(labels).nunique().reindex(range(len(class_names)), fill_value=0).to_numpy()
    occurs = num_groups > 0  # `split.rare_classes` may have left a class out
    if len(rare := np.flatnonzero(occurs & (num_groups < count))):
        named = ", ".join(f"'{class_names[label]}' ({num_groups[label]})" for label in rare)
        most = int(num_groups[occurs].min())
        mend = f"at most {most} folds, or more pictures of these classes" if most > 1 else "add pictures of them"
        raise DatasetError(
            f"{count} folds, but fewer different pictures (duplicates count once) of {named}: a fold would lack the "
            f"class; expected {mend}"
        )


def join_folds(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Join the predictions, ordered by content: digest, path, group, label, fold (from 1), probability_<class>."""
    columns = [f"{PROBABILITY}{name}" for name in classes_of(tables[0])]
    numbered = [table.assign(fold=number) for number, table in enumerate(tables, start=1)]
    joined = pd.concat(numbered, ignore_index=True).sort_values(["digest", "path"], ignore_index=True)
    return joined[["digest", "path", "group", "label", "fold", *columns]]


def measure_folds(predictions: pd.DataFrame, split: pd.DataFrame) -> dict[str, Any]:
    """Measure all predictions together. split: the table of which they are.

    `accuracy_low` and `accuracy_high` are the 95 % interval of the recipe, by group (see judging/clustered.py)."""
    of_path = pd.Series(pd.factorize(group_keys(split))[0], split["path"])
    groups = of_path.loc[predictions["path"]].to_numpy(np.int64)
    labels = predictions["label"].to_numpy(np.int64)
    probabilities = probabilities_of(predictions, classes_of(predictions))
    right = probabilities.argmax(axis=1) == labels
    low, high = accuracy_interval(right, groups)
    whole = np.ones((1, len(labels)))
    figures = {name: float(of(labels, probabilities)(whole)[0]) for name, (of, _) in METRICS.items()}
    per_fold = pd.Series(right).groupby(predictions["fold"].to_numpy()).agg(["mean", "size"])
    return {
        **figures,
        "accuracy_low": low,
        "accuracy_high": high,
        "interval_of": INTERVAL_OF,
        "num_images": len(labels),
        "num_groups": len(np.unique(groups)),
        "num_folds": len(per_fold),
        "folds": [
            {"accuracy": float(row["mean"]), "num_images": int(row["size"])} for _, row in per_fold.iterrows()
        ],
    }
