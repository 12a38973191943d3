"""Keep a series of trainings (folds, a learning curve) below `.pawline/`, by the digest of its data.

.pawline/folds/<data digest>/predictions.parquet, figures.json    the last complete series
.pawline/folds/<data digest>/<key>/                               one under way: finished trainings, checkpoints
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from pawline.errors import BusyError, DatasetError
from pawline.files import write_json, write_table
from pawline.params.whole import Params
from pawline.parts import data_digest
from pawline.prepared import PreparedImages
from pawline.series import Series
from pawline.train import refuse_impossible
from pawline.training.conditions import conditions_of
from pawline.training.pretrained_weights import weights_digest, with_weights
from pawline.workspace.checkout import main_checkout
from pawline.workspace.dag import dag_of
from pawline.workspace.history import code_digests
from pawline.workspace.layout import SERIES_PREDICTIONS, Layout, LocalState


@dataclass(frozen=True)
class KeptSeries:
    """A series and the place of its result. key: a digest of all that the result depends on."""

    series: Series
    folder: Path

    @property
    def key(self) -> str:
        return self.series.key

    @property
    def predictions(self) -> Path:
        return self.folder / SERIES_PREDICTIONS

    @property
    def figures(self) -> Path:
        return self.folder / "figures.json"

    def result(self) -> dict[str, Any] | None:
        """The figures of this very series, where it is complete."""
        try:
            figures: dict[str, Any] = json.loads(self.figures.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return figures if figures.get("key") == self.key and self.predictions.exists() else None

    def finish(self, predictions: pd.DataFrame, figures: dict[str, Any]) -> dict[str, Any]:
        """Write the result; figures.json comes last, so that it vouches for the table. Forget the single trainings."""
        figures = figures | {"key": self.key}
        self.figures.unlink(missing_ok=True)
        write_table(self.predictions, predictions)
        write_json(self.figures, figures)
        shutil.rmtree(self.series.folder, ignore_errors=True)
        return figures


def read_data(at: Layout) -> tuple[PreparedImages, pd.DataFrame]:
    """The prepared pictures and the split. Raises DatasetError where they are missing or do not fit together."""
    for path in (at.prepared / "prepared.json", at.split):
        if not path.exists():
            raise DatasetError(f"{path}: not there; make it first: `dvc repro split`")
    images, split = PreparedImages(at.prepared), pd.read_parquet(at.split)
    if (images.rows_of(split["path"]) < 0).any():
        raise DatasetError(
            f"{at.split}: it names pictures that {at.prepared} lacks; bring both up to date: `dvc repro split`"
        )
    return images, split


@contextmanager
def keep_series(
    kind: str, params: Params, images: PreparedImages, split: pd.DataFrame, about: Any
) -> Iterator[KeptSeries]:
    """Find the state of this very series, and hold its data's lock for the length of the block.

    kind: "folds" or "learning_curve"; about: what the series depends on besides params, data, code and conditions.
    Raises BusyError while another one of the kind is at work on the same data."""
    refuse_impossible(params.train)
    data = data_digest(split)
    depends_on = [
        kind,
        about,
        params.network.model_dump(),
        params.train.model_dump(),
        params.split.model_dump(),
        images.form.model_dump(),
        images.decoder,
        data,
        sorted(split["group"]),
        sorted(split["given_group"]) if "given_group" in split else [],
        conditions_of(params.train).model_dump(),
        weights_digest(params.network),
        code_digests(dag_of()["train"]),
    ]
    key = hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()
    local = LocalState(main_checkout())
    folder = getattr(local, kind) / data
    folder.mkdir(parents=True, exist_ok=True)
    lock = lock_of_series(folder)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        command = f"pawline {kind.replace('_', '-')}"
        raise BusyError(f"{folder}: another `{command}` is at work there; try again after it") from None
    try:
        network = with_weights(params.network, local.weights)
        yield KeptSeries(Series(folder / key[:16], key, images, network, local.features), folder)
    finally:
        lock.release()


def lock_of_series(folder: Path) -> FileLock:
    """The lock of all series of a kind on the same data."""
    return FileLock(folder / ".lock")


def unfinished_series() -> Iterator[Path]:
    """The folders of series that were stopped and that no process works on."""
    at = LocalState(main_checkout())
    for folder in sorted({*at.folds.glob("*"), *at.learning_curve.glob("*")}):
        try:
            lock_of_series(folder).acquire(timeout=0).lock.release()
        except (Timeout, NotADirectoryError):
            continue
        yield from sorted(path for path in folder.iterdir() if path.is_dir())
