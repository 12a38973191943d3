"""The section `train` of `params.yaml`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pawline.params.record import AUTO, Auto, Record

Fraction = Annotated[float, Field(ge=0, lt=1)]
WholeFraction = Annotated[float, Field(ge=0, le=1)]
LearningRate = Annotated[float, Field(gt=0, le=10)]
CropFraction = Annotated[float, Field(gt=0, le=1)]
PredictSize = Annotated[float, Field(gt=0, le=1)]  # the network says how few pixels are too few
Patience = Annotated[int, Field(ge=1)]
BatchSize = Annotated[int, Field(ge=1, le=65536)]
Sizes = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)]
Cut = Annotated[tuple[int, int], Field(description="two whole numbers, [step, number of steps]")]


class TrainParams(Record):
    """What the user asks for. `auto` stands for a value that pawline/recipe.py chooses."""

    minutes: float | None = Field(gt=0, le=100_000)
    epochs: int = Field(ge=1, le=10000)
    steps: int | None = Field(ge=1, le=10**9)
    cuts: tuple[Cut, ...] = ()
    batch_size: BatchSize | Auto
    optimizer: Literal["auto", "muon", "adamw", "sgd"]
    learning_rate: LearningRate | Auto
    warm_up: Fraction
    weight_decay: WholeFraction | Auto
    ema: Fraction | Auto
    keep_epochs: int = Field(ge=0, le=12)
    label_smoothing: Fraction | Auto
    sizes: Annotated[
        Sizes | Auto, Field(description="a list of one or more fractions, such as [0.5, 0.75], or auto")
    ]
    predict_size: PredictSize | Auto = 1.0  # a file from before 0.9 means pictures of prepare.image_size
    flip: bool
    crop_fraction: CropFraction | Auto
    brightness: WholeFraction | Auto
    contrast: WholeFraction | Auto
    cutout: Fraction | Auto
    flip_at_test: bool | Auto
    balance: Literal["none", "weights", "sampling"]
    patience: Patience | Auto
    precision: Literal["auto", "float32", "bfloat16"]
    deterministic: bool
    tensorboard: bool
    seed: int = Field(ge=0, lt=2**31)

    @model_validator(mode="after")
    def no_training_picture_is_larger_than_those_to_predict(self) -> Self:
        if self.sizes != AUTO and self.predict_size != AUTO and max(self.sizes) > self.predict_size:
            raise ValueError(
                f"sizes {list(self.sizes)} goes beyond predict_size {self.predict_size:g}; both are fractions of "
                "prepare.image_size, and no picture is larger than those that the model predicts at"
            )
        return self

    @property
    def automatic(self) -> list[str]:
        """The keys that a recipe chooses. (`precision` is chosen by the machine alone: model/machine.py.)"""
        return [key for key in CHOSEN if getattr(self, key) == AUTO]


class Recipe(TrainParams):
    """The same keys with every value chosen: what a training follows."""

    batch_size: BatchSize
    optimizer: Literal["muon", "adamw", "sgd"]
    learning_rate: LearningRate
    weight_decay: WholeFraction
    ema: Fraction
    label_smoothing: Fraction
    sizes: Sizes
    predict_size: PredictSize
    crop_fraction: CropFraction
    brightness: WholeFraction
    contrast: WholeFraction
    cutout: Fraction
    flip_at_test: bool
    patience: Patience


CHOSEN = tuple(Recipe.__annotations__)  # the keys that may be auto, in the order of params.yaml
