"""The figures of a model on the test part, for readers: everywhere the same figures in the same order.

`evaluate` measures the figures; the terminal after `make run`, the Prefect page and the report show them.
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
        value = f"{metrics[self.key]:{self.format}}"
        low, high = metrics.get(f"{self.key}_low"), metrics.get(f"{self.key}_high")
        if low is None or high is None:
            return value
        return f"{value}   (95 % interval {low:{self.format}} to {high:{self.format}})"

    def tile(self, metrics: Mapping[str, Any]) -> tuple[str, str]:
        """(Name, value) for a tile of the report."""
        return self.tile_name or self.name.capitalize(), f"{metrics[self.key]:{self.tile_format or self.format}}"


FIGURES = (
    Figure("accuracy", "test accuracy", ".3f"),
    Figure("auc", "area under ROC", ".3f", tile_name="AUC", tile_format=".4f"),
    Figure("loss", "test loss", ".3f", tile_name="Loss", tile_format=".4f"),
    Figure("num_images", "test images", ",d"),
)


def figure_rows(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(Name, text) of each figure in the metrics."""
    return [(figure.name, figure.text(metrics)) for figure in FIGURES if metrics.get(figure.key) is not None]
