"""The section `train` of `params.yaml`."""

from typing import Annotated, Literal

from pydantic import Field

from pawline.params.record import Record


class TrainParams(Record):
    minutes: float | None = Field(gt=0, le=100_000)
    epochs: int = Field(ge=1, le=10000)
    steps: int | None = Field(ge=1, le=10**9)
    batch_size: int = Field(ge=1, le=65536)
    optimizer: Literal["muon", "adamw", "sgd"]
    learning_rate: float = Field(gt=0, le=10)
    warm_up: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0, le=1)
    ema: float = Field(ge=0, lt=1)
    keep_epochs: int = Field(ge=0, le=12)
    label_smoothing: float = Field(ge=0, lt=1)
    sizes: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1)], ...],
        Field(min_length=1, description="a list of one or more fractions, such as [0.5, 0.75]"),
    ]
    flip: bool
    crop_fraction: float = Field(gt=0, le=1)
    brightness: float = Field(ge=0, le=1)
    contrast: float = Field(ge=0, le=1)
    cutout: float = Field(ge=0, lt=1)
    flip_at_test: bool
    balance: Literal["none", "weights", "sampling"]
    patience: int = Field(ge=1)
    precision: Literal["auto", "float32", "bfloat16"]
    deterministic: bool
    tensorboard: bool
    seed: int = Field(ge=0, lt=2**31)
