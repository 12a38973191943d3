"""The sections of the report that look for faults: calibration, labels, segments, shortcuts, drift and leaks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.judging.drift import drift, leaks
from pawline.judging.evenly import evenly
from pawline.judging.many_tests import one_of_each_group
from pawline.judging.segments import weak_segments
from pawline.judging.shortcuts import TOGETHER, shortcuts
from pawline.judging.traits import NUMERIC, measure_traits, numeric_traits
from pawline.judging.wrong_labels import SUSPICION, likely_wrong
from pawline.page.album import Album
from pawline.page.charts import calibration_chart, threshold_chart
from pawline.page.inputs import ReportInputs, records
from pawline.parts import PARTS
from pawline.words import number, percent, plural, short

NUM_MEASURED = 5000  # images of all, and of each part; their number bounds the time for 100,000 images
NUM_SUSPECTS, NUM_LEAKS, NUM_SEGMENTS = 24, 20, 12  # shown


@dataclass(frozen=True)
class MeasuredTraits:
    """Traits of images, see judging/traits.py. overview: evenly spaced over all images. parts: of each part one image
    per group, with the columns group and label too."""

    overview: pd.DataFrame
    parts: dict[str, pd.DataFrame]


def measure(inputs: ReportInputs) -> MeasuredTraits:
    """Measure each image that a section needs once."""
    images, split = inputs.images, inputs.split
    overview = evenly(len(images), NUM_MEASURED)
    chosen = {}
    for part in PARTS:
        of_part = one_of_each_group(split[split["split"] == part].sort_values(["digest", "path"]))
        chosen[part] = of_part.iloc[evenly(len(of_part), NUM_MEASURED)][["path", "group", "label"]]
    rows = np.unique(np.concatenate([overview, *(images.rows_of(table["path"]) for table in chosen.values())]))
    traits = measure_traits(images, inputs.index, rows)
    positions = np.searchsorted(rows, overview)
    return MeasuredTraits(
        traits.iloc[positions], {part: table.merge(traits, on="path") for part, table in chosen.items()}
    )


def findings(inputs: ReportInputs, measured: MeasuredTraits, album: Album) -> dict[str, Any]:
    """Every finding with its tables; `alarms` are those that a person should look at, as (section, sentence)."""
    parts = measured.parts
    is_correct = _is_correct(inputs.predictions, parts["test"]["path"])
    segments = weak_segments(parts["test"], is_correct).sort_values(["p", "trait", "low"], na_position="last")
    asked = pd.concat([parts["val"], parts["test"]], ignore_index=True)
    leading, drifted = shortcuts(parts["train"], asked), drift(parts["train"], parts["test"])
    leaked = leaks(inputs.images, inputs.split)
    alarms = [
        *[("segments", _weak(row)) for row in records(segments[segments["alarm"]].head(3))],
        *[("shortcuts", _shortcut(row)) for row in _named(leading)],
        *[("drift", _drifted(row)) for row in records(drifted[drifted["alarm"]])],
        *[("drift", _leak(len(leaked)))] * bool(len(leaked)),
    ]
    return {
        "alarms": alarms,
        "num_judged": {part: len(table) for part, table in parts.items()},
        "segments": [row | {"name": _segment(row)} for row in records(segments.head(NUM_SEGMENTS))],
        "num_segments": len(segments),
        "shortcuts": records(leading.sort_values("balanced_accuracy", ascending=False, kind="stable")),
        "drift": records(drifted.sort_values("effect", ascending=False, kind="stable")),
        "leaks": records(leaked.head(NUM_LEAKS)),
        "num_leaks": len(leaked),
        "traits": {name: NUMERIC[name] for name in numeric_traits(parts["test"])},
        **_suspects(inputs, album),
    }


def _is_correct(predictions: pd.DataFrame, paths: pd.Series) -> NDArray[np.bool_]:
    right = pd.Series((predictions["actual"] == predictions["predicted"]).to_numpy(), predictions["path"])
    return right.reindex(paths).fillna(False).to_numpy(bool)


def _segment(row: dict[str, Any]) -> str:
    if row["name"]:
        return f"{row['trait']} {row['name']}"
    return f"{row['trait']} {number(row['low'])} to {number(row['high'])}"


def _weak(row: dict[str, Any]) -> str:
    return (
        f"Weak where {_segment(row)}: {percent(row['accuracy'])} of {plural(row['num_images'], 'test picture')} "
        f"recognized, {percent(row['accuracy_of_rest'])} of the others."
    )


def _named(leading: pd.DataFrame) -> list[dict[str, Any]]:
    """The alarms by trait; all traits together are named only where no single one is."""
    alarms = records(leading[leading["alarm"]])
    single = [row for row in alarms if row["trait"] != TOGETHER]
    return single or alarms


def _shortcut(row: dict[str, Any]) -> str:
    what = "Light and file" if row["trait"] == TOGETHER else row["trait"].capitalize()
    return (
        f"{what} alone {'tell' if row['trait'] == TOGETHER else 'tells'} the class: "
        f"{percent(row['balanced_accuracy'])}, where guessing reaches {percent(row['guessing'])}."
    )


def _drifted(row: dict[str, Any]) -> str:
    if row["name"]:
        shares = (
            f"{short(row['name'], 24)} has {percent(row['train'])} of train and {percent(row['test'])} of test"
        )
        return f"The {row['trait']} differs between train and test: {shares}."
    medians = f"median {number(row['train'])} and {number(row['test'])}"
    return f"The {row['trait']} differs between train and test: {medians}."


def _leak(count: int) -> str:
    return f"{plural(count, 'test picture')} {'stands' if count == 1 else 'stand'} in train too."


def _suspects(inputs: ReportInputs, album: Album) -> dict[str, Any]:
    """Test images whose label is likely wrong. (The command `suspects` can judge all images.)"""
    found = likely_wrong(inputs.predictions, "actual", inputs.images.class_names)
    shown = found.head(NUM_SUSPECTS)[["path", "actual", *SUSPICION]]
    return {"suspects": album.rows(shown), "num_suspects": len(found)}


def calibration(table: pd.DataFrame | None) -> dict[str, Any]:
    """The chart and its table; empty without one."""
    if table is None or not (table["num_images"] > 0).any():
        return {}
    return {"chart": calibration_chart(table), "rows": records(table)}


def thresholds(table: pd.DataFrame | None) -> dict[str, Any]:
    """The chart of the test part and its table; the threshold was chosen on val. Empty without one."""
    of_test = table[table["part"] == "test"] if table is not None else pd.DataFrame()
    if of_test.empty:
        return {}
    chosen = records(of_test[of_test["chosen"] == 1])
    return {
        "chart": threshold_chart(of_test),
        "rows": records(of_test),
        "chosen": chosen[0] if chosen else None,
    }
