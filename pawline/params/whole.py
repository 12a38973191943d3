"""The whole of `params.yaml`: every section, and the rules between sections.

The file itself explains each key.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from pawline.params.check import CheckParams
from pawline.params.ingest import IngestParams
from pawline.params.judging import JudgingParams
from pawline.params.network import NetworkParams
from pawline.params.prepare import PrepareParams
from pawline.params.promotion import PromotionParams
from pawline.params.record import AUTO, Record, load_record
from pawline.params.split import SplitParams
from pawline.params.train import TrainParams


class Params(Record):
    ingest: IngestParams
    prepare: PrepareParams
    split: SplitParams
    network: NetworkParams
    judging: JudgingParams = JudgingParams()
    check: CheckParams = CheckParams()
    promotion: PromotionParams = PromotionParams()
    train: TrainParams

    @model_validator(mode="after")
    def network_fits_the_image(self) -> Self:
        size, name, fraction = self.prepare.image_size, self.network.name, self.train.predict_size
        if problem := self.network.section.size_problem(size):
            raise ValueError(f"prepare.image_size {size} is too small for network.{name}{problem}")
        if fraction == AUTO:
            return self
        side = self.network.predicted_side(size, fraction)
        if problem := self.network.section.size_problem(side):
            raise ValueError(
                f"train.predict_size {fraction:g} makes {side} pixels: too small for network.{name}{problem}"
            )
        return self


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check the whole file. Raises ParamsError, a single line that names the key."""
    return load_record(path, Params)


def dotted(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a tree: {"train": {"epochs": 3}} gives {"train.epochs": 3}."""
    values: dict[str, Any] = {}
    for key, value in tree.items():
        values |= dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return values
