"""The sections of the report about the data: parts, sizes, light, duplicates, quarantine, samples."""

from typing import Any

import numpy as np
import pandas as pd

from pawline.judging.evenly import evenly
from pawline.page.album import Album
from pawline.page.charts import Axis, Values, histogram, size_map, strips
from pawline.page.inputs import ReportInputs, ranked, records
from pawline.parts import PARTS
from pawline.pictures.decode import REASONS
from pawline.prepared import PreparedImages
from pawline.relabelled import num_relabelled
from pawline.words import plural

MAX_QUARANTINED = 20  # files listed per reason
NUM_EXTREMES = 6
NUM_NEAR_GROUPS, NUM_EXACT_GROUPS, GROUP_SIZE = 12, 4, 4


def given_parts(index: pd.DataFrame) -> dict[str, Any]:
    """Count the files of each part that the source defines, and list its missing parts; empty if it defines none."""
    counts = index["given_part"].value_counts()
    num_files = [(part, int(counts[part])) for part in PARTS if part in counts]
    missing = [part for part in PARTS[1:] if part not in counts]
    return {"num_files": num_files, "missing": missing} if num_files else {}


def decisions(inputs: ReportInputs) -> dict[str, Any]:
    """What people's decisions about labels changed in this data; empty where they changed nothing.

    num_relabelled: pictures of train, val and test whose label was corrected; num_elsewhere: such pictures that are in
    no part; num_removed: pictures that were left out; words: all of it in one sentence; moves_accuracy: whether test
    itself was changed, so that the accuracy may differ from an earlier one without a better model."""
    total, num_removed = (inputs.metrics["ingest"].get(name, 0) for name in ("num_relabelled", "num_removed"))
    if not total and not num_removed:
        return {}
    by_part = num_relabelled(inputs.index, inputs.split)
    num_elsewhere = total - sum(by_part.values()) if by_part else 0
    return {
        "num_relabelled": by_part,
        "num_elsewhere": num_elsewhere,
        "num_removed": num_removed,
        "words": _decision_words(total, by_part, num_elsewhere, num_removed),
        # Which part a picture would be in that is left out, nobody knows.
        "moves_accuracy": bool(by_part.get("test", total) or num_removed),
    }


def _decision_words(total: int, by_part: dict[str, int], num_elsewhere: int, num_removed: int) -> str:
    """7 labels were corrected (2 in train, 3 in val, 2 in test) and 1 picture was left out"""
    places = [f"{count:,} in {part}" for part, count in by_part.items() if count]
    places += [f"{num_elsewhere:,} in none of the parts"] * bool(num_elsewhere)
    corrected = f"{plural(total, 'label')} {'was' if total == 1 else 'were'} corrected"
    corrected += f" ({', '.join(places)})" if places else ""
    removed = f"{plural(num_removed, 'picture')} {'was' if num_removed == 1 else 'were'} left out"
    return " and ".join([corrected] * bool(total) + [removed] * bool(num_removed))


def sizes(index: pd.DataFrame) -> dict[str, Any]:
    """Sizes of the source files in pixels and bytes; a file without a readable header has no size in pixels."""
    sized = index[(index["width"] > 0) & (index["height"] > 0)]
    width, height = sized["width"].to_numpy(float), sized["height"].to_numpy(float)
    return {
        "num_sized": len(sized),
        "rows": [
            ("Width", _spread(width), "pixels"),
            ("Height", _spread(height), "pixels"),
            ("Width ÷ height", _spread(width / height), ""),
            ("File size", _spread(index["bytes"].to_numpy(float)), "bytes"),
        ],
        "map": size_map(width, height),
        "histogram": histogram(index["bytes"].to_numpy(float)),
        "common": ranked(sized["width"], sized["height"]),
        "formats": ranked(index["format"].replace("", "unknown")),
        "num_animated": int(index["animated"].sum()),
    }


def _spread(values: Values) -> tuple[float, float, float]:
    """(Smallest, median, largest) value."""
    return (values.min(), float(np.median(values)), values.max()) if len(values) else (0.0, 0.0, 0.0)


def light(traits: pd.DataFrame, num_images: int, shown_classes: list[str], album: Album) -> dict[str, Any]:
    """Brightness and sharpness of evenly spaced images: percentiles per class, and the extreme images.

    traits: of these images, from measure_traits."""
    axes = {
        "brightness": Axis(0, 255, start=0, end=100, step=51),
        "sharpness": Axis.logarithmic(np.maximum(traits["sharpness"].to_numpy(), 1), start=0, end=100),
    }
    return {
        "num_measured": len(traits),
        "num_images": num_images,
        "measures": [
            {
                "name": name,
                "ends": (axis.low, axis.high),
                "rows": strips(traits, name, axis, shown_classes),
                "lowest": _extremes(album, traits, name, ascending=True),
                "highest": _extremes(album, traits, name, ascending=False),
            }
            for name, axis in axes.items()
        ],
    }


def _extremes(album: Album, table: pd.DataFrame, name: str, ascending: bool) -> list[dict[str, Any]]:
    order = table.sort_values([name, "path"], ascending=[ascending, True]).head(NUM_EXTREMES)
    return album.rows(order[["path", "class_name"]].assign(value=order[name]))


def duplicates(inputs: ReportInputs, album: Album) -> list[dict[str, Any]]:
    """Groups of near-duplicates and of identical files, a few of each kind. Groups with images left out of the split
    come first, then the largest groups."""
    every_image = pd.concat([inputs.split, inputs.left_out], ignore_index=True)
    every_image["left_out"] = np.arange(len(every_image)) >= len(inputs.split)
    groups = every_image.groupby("group").agg(
        num_copies=("path", "size"), num_different=("digest", "nunique"), num_left_out=("left_out", "sum")
    )
    groups = groups[groups["num_copies"] > 1].sort_values(
        ["num_left_out", "num_copies"], ascending=False, kind="stable"
    )
    near = groups["num_different"] > 1
    kinds = [("near", groups[near], NUM_NEAR_GROUPS), ("exact", groups[~near], NUM_EXACT_GROUPS)]
    return [
        {
            "kind": kind,
            "count": len(of_kind),
            "groups": _group_pictures(album, every_image, of_kind.head(limit)),
        }
        for kind, of_kind, limit in kinds
        if len(of_kind)
    ]


def _group_pictures(album: Album, every_image: pd.DataFrame, groups: pd.DataFrame) -> list[dict[str, Any]]:
    group_pictures = []
    for group in groups.itertuples():
        copies = every_image[every_image["group"] == group.Index].sort_values(["left_out", "path"])
        pictures = album.rows(copies.head(GROUP_SIZE))
        group_pictures.append({"num_copies": group.num_copies, "copies": pictures})
    return group_pictures


def quarantine(quarantine: pd.DataFrame, sheet: pd.DataFrame, album: Album) -> list[dict[str, Any]]:
    """List the reasons, in the order of REASONS, each with its meaning, its number of files, its tiles of the contact
    sheet and its first files."""
    reasons = []
    for reason, meaning in REASONS.items():
        of_reason = quarantine[quarantine["reason"] == reason].sort_values("path")
        if len(of_reason):
            files = records(of_reason.head(MAX_QUARANTINED)[["path", "detail"]])
            tiles = [_tile(row, album) for row in sheet[sheet["reason"] == reason].itertuples()]
            reasons.append(
                {"reason": reason, "meaning": meaning, "count": len(of_reason), "files": files, "tiles": tiles}
            )
    return reasons


def _tile(row: Any, album: Album) -> dict[str, Any]:
    """The fields of a tile; `picture` is empty if the file cannot be shown."""
    fields = {name: getattr(row, name) for name in ("path", "class_name", "detail")}
    return fields | {"picture": album.tile(row.picture)}


def samples(
    images: PreparedImages, shown_classes: list[str], album: Album
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Evenly spaced images of each class shown; a full row if there are few classes."""
    per_class = 12 if len(shown_classes) < 7 else 4
    rows = []
    for name in shown_classes:
        of_class = images.table[images.table["class_name"] == name]
        rows.append((name, album.rows(of_class.iloc[evenly(len(of_class), per_class)][["path"]])))
    return rows
