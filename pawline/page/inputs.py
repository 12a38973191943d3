"""What the report is made from, and the limits that several of its sections share."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pawline.card import Card
from pawline.judging.predictions import read_predictions
from pawline.prepared import PreparedImages

MEASURED_STAGES = ["ingest", "prepare", "split", "train", "evaluate"]

MAX_CLASSES = 20  # in the matrix and in rows of pictures: nobody reads a larger matrix
MAX_LISTED = 200  # classes, or epochs, in a plain table


@dataclass(frozen=True)
class ReportInputs:
    """The results of all stages. Each table is described in the module of the same name.

    `split` and `left_out` are the tables of split_images; `metrics` has the content of
    `metrics/<stage>.json` under "ingest", "prepare", "split", "train" and "evaluate".
    `activations` is the table of judging/mistake_maps.py; `params` has the values by dotted name, see
    provenance.named_params. Where one of the last five is None, its section says so or is left out.
    """

    index: pd.DataFrame
    quarantine: pd.DataFrame
    contact_sheet: pd.DataFrame
    split: pd.DataFrame
    left_out: pd.DataFrame
    images: PreparedImages
    history: pd.DataFrame
    predictions: pd.DataFrame
    metrics: dict[str, dict[str, Any]]
    card: Card | None = None
    activations: pd.DataFrame | None = None
    calibration: pd.DataFrame | None = None
    thresholds: pd.DataFrame | None = None
    params: Mapping[str, Any] | None = None


def read_inputs(files: Mapping[str, Path]) -> ReportInputs:
    """Read what the stages wrote. files: the paths by name, as workspace/layout.py has them.

    Raises FileNotFoundError, with the file's name, where a stage has not run; calibration and thresholds may be
    missing."""
    for name in ("index", "prepared", "split", "history", "card", "predictions", "activations"):
        files[name].stat()  # pyarrow's error has no name of a file
    return ReportInputs(
        index=pd.read_parquet(files["index"]),
        quarantine=pd.read_csv(files["quarantine"], dtype=str, keep_default_na=False),
        contact_sheet=pd.read_parquet(files["contact_sheet"]),
        split=pd.read_parquet(files["split"]),
        left_out=pd.read_parquet(files["left_out"]),
        images=PreparedImages(files["prepared"]),
        history=pd.read_csv(files["history"]),
        predictions=read_predictions(files["predictions"]),
        metrics={stage: json.loads((files["metrics"] / f"{stage}.json").read_text()) for stage in MEASURED_STAGES},
        card=Card.model_validate_json(files["card"].read_text(encoding="utf-8")),
        activations=pd.read_parquet(files["activations"]),
        calibration=_if_there(files["predictions"].with_name("calibration.csv")),
        thresholds=_if_there(files["predictions"].with_name("thresholds.csv")),
    )


def _if_there(file: Path) -> pd.DataFrame | None:
    return pd.read_csv(file) if file.exists() else None


def hardest_classes(inputs: ReportInputs, limit: int) -> list[str]:
    """Names of at most `limit` classes, those with the most mistakes, in alphabetical order."""
    names = inputs.images.class_names
    wrong = inputs.predictions[inputs.predictions["actual"] != inputs.predictions["predicted"]]
    num_wrong = wrong["actual"].value_counts()
    return sorted(sorted(names, key=lambda name: (-num_wrong.get(name, 0), name))[:limit])


def ranked(*columns: pd.Series) -> list[tuple[Any, int]]:
    """(Value or tuple of values, number of rows), most frequent first; equal counts in the order of their values."""
    counts = pd.Series(1, index=range(len(columns[0]))).groupby([column.to_numpy() for column in columns]).sum()
    return list(counts.sort_values(ascending=False, kind="stable").items())


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dicts, by column."""
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]  # columns have names
    return rows
