"""The figures of a model on the test part, for readers: everywhere the same figures in the same order.

`evaluate` measures the figures; the terminal after a run, the Prefect page and the report show them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A figure of metrics/evaluate.json. Its interval, if any, is stored there as `<key>_low` and `<key>_high`."""

    key: str
    name: str
    format: str
    tile_name: str = ""  # on a tile of the report, if shorter than the name
    tile_format: str = ""  # on a tile of the report, if different

    def text(self, metrics: Mapping[str, Any]) -> str:
        """The value, with its interval if there is one."""
        value, interval = f"{metrics[self.key]:{self.format}}", self._interval(metrics, self.format)
        return f"{value}   (95 % interval {interval})" if interval else value

    def tile(self, metrics: Mapping[str, Any]) -> tuple[str, str, str]:
        """(Name, value, interval or "") for a tile of the report."""
        form = self.tile_format or self.format
        name = self.tile_name or self.name.capitalize()
        return name, f"{metrics[self.key]:{form}}", self._interval(metrics, form)

    def _interval(self, metrics: Mapping[str, Any], form: str) -> str:
        low, high = metrics.get(f"{self.key}_low"), metrics.get(f"{self.key}_high")
        return "" if low is None or high is None else f"{low:{form}} to {high:{form}}"


FIGURES = (
    Figure("accuracy", "test accuracy", ".3f"),
    Figure("balanced_accuracy", "balanced accuracy", ".3f"),
    Figure("macro_f1", "macro F1", ".3f", tile_name="Macro F1"),
    Figure("auc", "area under ROC", ".3f", tile_name="AUC", tile_format=".4f"),
    Figure("average_precision", "average precision", ".3f"),
    Figure("loss", "test loss", ".3f", tile_name="Loss", tile_format=".4f"),
    Figure("brier", "Brier score", ".3f", tile_name="Brier score"),
    Figure("calibration_error", "calibration error", ".3f"),
    Figure("num_images", "test pictures", ",d"),
)


def in_one_line(metrics: Mapping[str, Any]) -> str:
    """The accuracy with its interval, and how many pictures it rests on."""
    accuracy = " ".join(FIGURES[0].text(metrics).split())
    return f"{FIGURES[0].name} {accuracy}, {metrics['num_images']:,} pictures"


def figure_rows(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(Name, text) of each figure in the metrics, then what unsure answers and the simple baselines come to."""
    rows = [(figure.name, figure.text(metrics)) for figure in FIGURES if metrics.get(figure.key) is not None]
    unsure, baselines = metrics.get("unsure"), metrics.get("baselines")
    if unsure and unsure["accuracy"] is not None:
        answered = f"{unsure['coverage']:.1%} of the pictures, accuracy {unsure['accuracy']:.3f}"
        rows.append((f"probability {unsure['below']:g} or more", answered))
    if baselines:
        best = max(baselines, key=lambda name: baselines[name]["accuracy"])
        rows.append(("best simple baseline", f"{baselines[best]['accuracy']:.3f}   ({best.replace('_', ' ')})"))
    return rows
