"""Find differences between train and test that are no chance, and pictures that stand in both."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, ks_2samp

from pawline.judging.many_tests import ALPHA, holm
from pawline.judging.traits import FORMAT, numeric_traits
from pawline.pictures.thumbnails import thumbnails
from pawline.prepared import PreparedImages

CLASS = "class"
MIN_EFFECT = 0.1  # smaller differences are real in large data sets, but change no accuracy

# Pictures that look the same: hashes as vectors of length 1 are this near, and the small grey pictures agree this much.
MAX_DISTANCE, MIN_CORRELATION, THUMBNAIL_SIDE = 0.25, 0.985, 24
BLOCK = 1024  # test pictures compared with all train pictures at a time


def drift(train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Compare the traits (from measure_traits) of two parts, and their shares of classes.

    Columns: trait; train and test (the medians, or for format and class the most frequent name's share, in `name`);
    effect (the Kolmogorov-Smirnov distance, or Cramér's V for format and class, 0 to 1); p; p_corrected (Holm); alarm
    where the difference is no chance and at least MIN_EFFECT. Empty where a part is empty."""
    rows: list[tuple[object, ...]] = []
    if len(train) and len(test):
        for name in numeric_traits(train):
            rows.append(
                (
                    name,
                    "",
                    float(train[name].median()),
                    float(test[name].median()),
                    *ks(*(part[name].to_numpy(float) for part in (train, test))),
                )
            )
        for name, column in ((FORMAT, FORMAT), (CLASS, "class_name")):
            frequent = sorted(train[column].value_counts().items(), key=lambda item: (-item[1], item[0]))[0][0]
            shares = [float((part[column] == frequent).mean()) for part in (train, test)]
            rows.append((name, str(frequent), *shares, *of_names(*_counts(train[column], test[column]))))
    table = pd.DataFrame(rows, columns=["trait", "name", "train", "test", "effect", "p"])
    corrected = holm(table["p"].to_numpy(float))
    return table.assign(p_corrected=corrected, alarm=(corrected < ALPHA) & (table["effect"] >= MIN_EFFECT))


def ks(train: NDArray[np.float64], test: NDArray[np.float64]) -> tuple[float, float]:
    """(Kolmogorov-Smirnov distance, p) of two samples."""
    found = ks_2samp(train, test, method="asymp")
    return float(found.statistic), float(found.pvalue)


def of_names(train: NDArray[np.int64], test: NDArray[np.int64]) -> tuple[float, float]:
    """(Cramér's V, p) of how often each name occurs in two parts: int64 (num_names,) each. Names that occur in neither
    do not count."""
    counts = np.array([train, test])[:, train + test > 0]
    if counts.shape[1] < 2:
        return 0.0, 1.0
    found = chi2_contingency(counts, correction=False)
    return float(np.sqrt(found.statistic / counts.sum())), float(found.pvalue)


def _counts(train: pd.Series, test: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often each name of either part occurs in each: int64 (num_names,) twice."""
    names = sorted({*train, *test})
    before, after = (np.array([int((part == name).sum()) for name in names]) for part in (train, test))
    return before, after


def leaks(images: PreparedImages, split: pd.DataFrame) -> pd.DataFrame:
    """List test pictures that are in train too: path, train_path, and how: the same bytes, the same group, or "looks
    the same". The split prevents this, so every row is a fault of the data set's own parts or of the settings.

    split: the images in use, from split_images."""
    train, test = (split[split["split"] == part].sort_values("path") for part in ("train", "test"))
    found = pd.DataFrame({"path": test["path"].to_numpy(), "train_path": "", "how": ""})
    for how, keys in (("same bytes", "digest"), ("same group", "group")):
        partner = train.drop_duplicates(keys).set_index(keys)["path"].reindex(test[keys]).to_numpy()
        new = (found["how"] == "").to_numpy() & ~pd.isna(partner)
        found.loc[new, "train_path"], found.loc[new, "how"] = partner[new], how
    partner = _looking_the_same(images, images.rows_of(train["path"]), images.rows_of(test["path"]))
    new = (found["how"] == "").to_numpy() & (partner >= 0)
    found.loc[new, "train_path"] = train["path"].to_numpy()[partner[new]]
    found.loc[new, "how"] = "looks the same"
    return found[found["how"] != ""].reset_index(drop=True)


def _looking_the_same(
    images: PreparedImages, train: NDArray[np.int64], test: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The position in `train` of the picture that looks the same as each of `test`, else -1: int64 (len(test),)."""
    partner = np.full(len(test), -1, np.int64)
    if not len(train):
        return partner
    others = _vectors(images, train)
    for start in range(0, len(test), BLOCK):
        rows = test[start : start + BLOCK]
        nearness = _vectors(images, rows) @ others.T  # 1 - distance² / 2
        nearest = nearness.argmax(axis=1)
        near = np.flatnonzero(nearness[np.arange(len(rows)), nearest] >= 1 - MAX_DISTANCE**2 / 2)
        if len(near):
            one, other = (_small(images, of) for of in (rows[near], train[nearest[near]]))
            same = near[(one * other).sum(axis=1) >= MIN_CORRELATION]
            partner[start + same] = nearest[same]
    return partner


def _vectors(images: PreparedImages, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The hashes as vectors of length 1, (n, 32); 0 for a picture without content, which is near to nothing."""
    vectors = np.ascontiguousarray(images.hashes[rows]).view(np.int8).reshape(len(rows), -1).astype(np.float32)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1), np.float32)


def _small(images: PreparedImages, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Small grey pictures as vectors with mean 0 and length 1: the product of two is their correlation."""
    small = thumbnails(images.pixels(rows), THUMBNAIL_SIDE).reshape(len(rows), -1).astype(float)
    small -= small.mean(axis=1, keepdims=True)
    return np.asarray(small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-9), float)
