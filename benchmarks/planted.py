"""Data sets drawn by code with planted faults, taken in by Pawline's own functions, to measure findings on."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.drawn.data_set import CLASS_NAMES, GeneratedSet, draw_data_set
from pawline.ingest import ingest
from pawline.params.ingest import IngestParams
from pawline.params.whole import Params, load_params
from pawline.prepare import prepare
from pawline.prepared import PreparedImages
from pawline.split import split_images
from tests.source import ROOT

PARAMS = load_params(ROOT / "params.yaml")


@dataclass(frozen=True)
class TakenIn:
    index: pd.DataFrame
    images: PreparedImages
    split: pd.DataFrame


def draw(folder: Path, seed: int, per_class: int) -> Path:
    """A data set without faults, in one folder per class."""
    spec = GeneratedSet(
        seed=seed, num_images_per_class=per_class, min_side=120, max_side=300, planted_faults=False
    )
    draw_data_set(spec, folder)
    return folder


def flip_labels(folder: Path, share: float, seed: int) -> dict[str, str]:
    """Move a share of the pictures into the folder of the other class. Returns the true class of each, by digest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rng = np.random.default_rng(seed)
    truth = {}
    for place in rng.choice(len(files), round(share * len(files)), replace=False):
        file = files[place]
        (other,) = set(CLASS_NAMES) - {file.parent.name}
        truth[hashlib.sha256(file.read_bytes()).hexdigest()] = file.parent.name
        file.rename(folder / other / f"flipped-{file.name}")
    return truth


def take_in(source: Path, work: Path, params: Params = PARAMS) -> TakenIn:
    """Ingest, prepare and split, as the stages do."""
    index, images = prepared(source, work, params)
    return TakenIn(index, images, split_images(images, params.split).used)


def prepared(source: Path, work: Path, params: Params) -> tuple[pd.DataFrame, PreparedImages]:
    """Ingest and prepare: (the index, the pictures)."""
    result = ingest(IngestParams(source=str(source), sha256=None), work / "raw", work / "downloads")
    index = result.rows.table()
    prepare(index, work / "raw", work / "prepared", params.prepare, work / "decoded", work / "refused.csv")
    return index, PreparedImages(work / "prepared")


def train_and_predict(
    data: TakenIn, split: pd.DataFrame, epochs: int, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The probabilities, (n, num_classes), that a model trained on this split gives rows of the images.

    epochs: of the network; 0: a logistic regression on histograms of gradients (Dalal, Triggs, 2005) stands in for it,
    which takes seconds and also learns from the train part alone."""
    if not epochs:
        return _light_model(data, split, rows)
    from pawline.model.saved import predict_rows
    from pawline.train import train

    params = PARAMS.train.model_copy(update={"epochs": epochs, "minutes": None, "patience": epochs})
    trained = train(data.images, split, PARAMS.network, params)
    return np.asarray(predict_rows(trained.model, trained.images, rows), float)


def _light_model(data: TakenIn, split: pd.DataFrame, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train = split[split["split"] == "train"]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=300))
    model.fit(_gradients(data.images, data.images.rows_of(train["path"])), train["label"])
    return np.asarray(model.predict_proba(_gradients(data.images, rows)), float)


def _gradients(
    images: PreparedImages, rows: NDArray[np.int64], cell: int = 8, bins: int = 9
) -> NDArray[np.float64]:
    """Histograms of gradient directions in cells of 8 x 8 pixels, of the roots of the grey levels: (n, numbers)."""
    level = np.sqrt(images.pixels(rows).mean(axis=3) / 255)
    down, across = np.gradient(level, axis=(1, 2))
    strength = np.hypot(down, across)
    direction = ((np.arctan2(down, across) % np.pi) / np.pi * bins).astype(int) % bins
    side = level.shape[1] // cell
    hist = np.stack([np.where(direction == number, strength, 0) for number in range(bins)], axis=-1)
    hist = hist[:, : side * cell, : side * cell].reshape(len(rows), side, cell, side, cell, bins).sum(axis=(2, 4))
    return (hist / (np.linalg.norm(hist, axis=3, keepdims=True) + 0.1)).reshape(len(rows), -1)


def out_of_fold(data: TakenIn, num_folds: int, epochs: int) -> pd.DataFrame:
    """Every picture judged by a model that did not train on it: digest, path, label, probability_<class>.

    A hash of the group decides the fold; of the others, the smallest 15 % of another hash are val."""
    split = data.split.reset_index(drop=True)
    keys = [hashlib.sha256(f"fold:{group}".encode()).digest() for group in split["group"]]
    fold = np.array([key[0] for key in keys]) % num_folds
    is_val = np.array([key[1] for key in keys]) < 0.15 * 256
    names = data.images.class_names
    probabilities = np.zeros((len(split), len(names)))
    for number in range(num_folds):
        part = np.where(fold == number, "test", np.where(is_val, "val", "train"))
        judged = fold == number
        rows = data.images.rows_of(split.loc[judged, "path"])
        probabilities[judged] = train_and_predict(data, split.assign(split=part), epochs, rows)
    table = split[["digest", "path"]].assign(label=np.array(names)[split["label"].to_numpy()])
    return table.assign(**{f"probability_{name}": probabilities[:, label] for label, name in enumerate(names)})
