"""Find pictures whose label is likely wrong, by predictions of models that did not train on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pawline.errors import ModelError
from pawline.judging.predictions import PROBABILITY
from pawline.judging.wrong_labels import SUSPICION, likely_wrong
from pawline.params.prepare import ImageForm
from pawline.parts import Part
from pawline.prepared import PreparedImages
from pawline.runtime.model import RuntimeModel
from pawline.terminal import listed


@dataclass(frozen=True)
class HeldOutPredictions:
    """predictions: digest, path, label (a class name) and probability_<class> of each class. source: where they come
    from, in words for people."""

    predictions: pd.DataFrame
    source: str


def from_folds(file: Path, class_names: list[str]) -> HeldOutPredictions:
    """The predictions of `pawline folds`: every picture, by a model that did not train on it.

    file: Parquet with digest, path, label (a class name or its number) and probability_<class>."""
    table = pd.read_parquet(file)
    if pd.api.types.is_integer_dtype(table["label"]):
        table = table.assign(label=np.array(class_names)[table["label"].to_numpy()])
    source = f"from folds: all {len(table):,} pictures, each judged by a model that did not train on it"
    return HeldOutPredictions(table, source)


def from_held_out(images: PreparedImages, split: pd.DataFrame, model_file: Path) -> HeldOutPredictions:
    """The predictions of the trained model on val and test.

    split: the images in use, from split_images. Raises ModelError where the model knows other classes."""
    model = RuntimeModel(model_file)
    if model.card.class_names != images.class_names:
        raise ModelError(
            f"{model_file}: it knows the classes {listed(model.card.class_names, 5)}, but the data has "
            f"{listed(images.class_names, 5)}"
        )
    parts = [Part.of(name, images, split) for name in ("val", "test")]
    rows, labels = (np.concatenate([getattr(part, field) for part in parts]) for field in ("rows", "labels"))
    probabilities = model.predict_rows(images.seen_as(ImageForm(**model.card.form)), rows)
    table = images.table.iloc[rows][["digest", "path"]].reset_index(drop=True)
    table = table.assign(label=np.array(images.class_names)[labels])
    columns = {f"{PROBABILITY}{name}": probabilities[:, label] for label, name in enumerate(images.class_names)}
    source = (
        f"from val and test: {len(table):,} of {len(split):,} pictures; the other {len(split) - len(table):,} are in "
        "train, whose labels the model has learned: `pawline folds` judges them too"
    )
    return HeldOutPredictions(table.assign(**columns), source)


def find_suspects(judged: HeldOutPredictions, class_names: list[str]) -> pd.DataFrame:
    """List likely wrong labels, the likeliest first: digest, path, label, suggested, probability_of_label,
    probability_of_suggested. Copies of one file are one row."""
    table = judged.predictions.sort_values(["digest", "path"]).drop_duplicates(["digest", "label"])
    found = likely_wrong(table, "label", class_names)[["digest", "path", "label", *SUSPICION]]
    return found.reset_index(drop=True)


def still_open(found: pd.DataFrame, decided: Mapping[str, str]) -> tuple[pd.DataFrame, int]:
    """(The suspects that nobody has decided about; the number of those whose label the data has yet to change.)

    found: from find_suspects; decided: the label of each digest that a person has decided about."""
    labels = found["digest"].map(decided)
    waiting = labels.notna() & (labels != found["label"])
    return found[labels.isna()].reset_index(drop=True), int(waiting.sum())
