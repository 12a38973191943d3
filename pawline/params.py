"""`params.yaml` as small frozen records, checked on load. What each key means stands in the file itself."""

import difflib
import json
import textwrap
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pawline.errors import ParamsError


class Record(BaseModel):
    """Frozen; refuses unknown keys, silent conversions, NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


RecordType = TypeVar("RecordType", bound=Record)


class IngestParams(Record):
    source: str = Field(min_length=1)
    sha256: str | None = Field(pattern=r"^[0-9a-fA-F]{64}$")


class ImageForm(Record):
    """What every picture is brought to, for training and prediction alike: it stands on the model's card."""

    image_size: int = Field(ge=8, le=1024)
    color: Literal["grayscale", "rgb"]
    aspect: Literal["stretch", "crop", "pad"]
    background: int = Field(ge=0, le=255)

    @property
    def num_channels(self) -> int:
        return 1 if self.color == "grayscale" else 3


class PrepareParams(ImageForm):
    max_bad_fraction: float = Field(ge=0, le=1)
    cache_gigabytes: float = Field(ge=0)

    @property
    def form(self) -> ImageForm:
        return ImageForm(**{name: getattr(self, name) for name in ImageForm.model_fields})


class SplitParams(Record):
    val_fraction: float = Field(gt=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def leaves_something_to_train_on(self) -> Self:
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"val_fraction {self.val_fraction} and test_fraction {self.test_fraction} sum to 1 or more; "
                "their sum must stay below 1, the rest is what the network learns from"
            )
        return self


Pair = tuple[int, int]


class ClassicParams(Record):
    """Convolution, Pooling, Convolution, Pooling, Fully Connected, Output: pairs are (first, second)."""

    filters: Pair
    kernel: Pair
    stride: Pair
    pool_window: Pair
    pool_stride: Pair
    dense_units: int = Field(ge=1, le=65536)
    dropout: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def windows_never_skip_a_pixel(self) -> Self:
        for key in ("filters", "kernel", "stride", "pool_window", "pool_stride"):
            if min(getattr(self, key)) < 1:
                raise ValueError(f"{key} is {list(getattr(self, key))}; each number must be 1 or more")
        for stride, window in (("stride", "kernel"), ("pool_stride", "pool_window")):
            if any(s > w for s, w in zip(getattr(self, stride), getattr(self, window), strict=True)):
                raise ValueError(
                    f"{stride} {list(getattr(self, stride))} is larger than {window} "
                    f"{list(getattr(self, window))}; a window may overlap its neighbour "
                    "but must never skip a pixel"
                )
        return self

    def map_sizes(self, image_size: int) -> list[int]:
        """Side of the feature maps after each of the four layers, in pixels; below 1 where nothing is left."""
        sizes, size = [], image_size
        for stride, window, pool_stride in zip(self.stride, self.pool_window, self.pool_stride, strict=True):
            size = -(-size // stride)  # convolutions pad with zeros, so only their stride shrinks the map
            sizes.append(size)
            size = (size - window) // pool_stride + 1
            sizes.append(size)
        return sizes


class FastParams(Record):
    filters: Annotated[tuple[int, ...], Field(min_length=2, max_length=7)]

    @model_validator(mode="after")
    def each_width_has_filters(self) -> Self:
        if min(self.filters) < 1:
            raise ValueError(f"filters is {list(self.filters)}; each number must be 1 or more")
        return self

    @property
    def total_stride(self) -> int:
        """Pixels of the picture that one pixel of the last maps stands for, along a side."""
        return int(2 ** len(self.filters))


LEAST_PRETRAINED_SIZE = 32  # pixels that the architectures of keras.applications take


class PretrainedParams(Record):
    architecture: Literal["MobileNetV3Small", "MobileNetV3Large", "EfficientNetV2B0", "EfficientNetV2B3"]
    weights: str | None
    sha256: str | None = Field(pattern=r"^[0-9a-fA-F]{64}$")
    fine_tune: bool

    @property
    def is_downloaded(self) -> bool:
        """Whether Keras fetches its own weights."""
        return self.weights == "imagenet"

    @model_validator(mode="after")
    def what_is_checked_is_a_file(self) -> Self:
        if self.sha256 and (self.is_downloaded or not self.weights):
            raise ValueError("sha256 is set, but weights names no file to check; leave it empty")
        return self


class NetworkParams(Record):
    name: Literal["fast", "classic", "pretrained"]
    fast: FastParams
    classic: ClassicParams
    pretrained: PretrainedParams

    @model_validator(mode="after")
    def pretrained_has_weights(self) -> Self:
        if self.name == "pretrained" and not self.pretrained.weights:
            raise ValueError(
                "pretrained.weights is empty; name a weights file, or imagenet to let Keras download its own"
            )
        return self


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
    label_smoothing: float = Field(ge=0, lt=1)
    sizes: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)]
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


class Params(Record):
    ingest: IngestParams
    prepare: PrepareParams
    split: SplitParams
    network: NetworkParams
    train: TrainParams

    @model_validator(mode="after")
    def network_fits_the_image(self) -> Self:
        size = self.prepare.image_size
        if self.network.name == "fast" and size < self.network.fast.total_stride:
            raise ValueError(
                f"prepare.image_size {size} is too small for network.fast, whose {len(self.network.fast.filters)} "
                f"widths each halve it; use at least {self.network.fast.total_stride}, or fewer filters"
            )
        if self.network.name == "pretrained" and size < LEAST_PRETRAINED_SIZE:
            raise ValueError(
                f"prepare.image_size {size} is too small for network.pretrained; "
                f"use at least {LEAST_PRETRAINED_SIZE}"
            )
        sizes = self.network.classic.map_sizes(size)
        if self.network.name == "classic" and min(sizes) < 1:
            raise ValueError(
                f"prepare.image_size {size} is too small for network.classic: its feature "
                f"maps would shrink to {sizes}; use larger images, smaller pool windows or smaller strides"
            )
        return self


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check the whole file. Raises ParamsError, one line that names the key."""
    return load_record(path, Params)


def load_record(path: Path, record: type[RecordType]) -> RecordType:
    """Read one YAML file into its record. Raises ParamsError, one line that names file and key."""
    tree = _read_yaml(path)
    try:
        # By way of JSON, where strict checking still takes a list for a pair.
        return record.model_validate_json(json.dumps(tree, default=str))
    except TypeError as error:  # a key that is no text: a date, a list
        raise ParamsError(f"{path}: {error}") from None
    except ValidationError as error:
        # An unknown key first: where it is a misspelt one, another complaint is that the right one is missing.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise ParamsError(f"{path}: {_explain(first, record)}") from None


def _read_yaml(path: Path) -> Any:
    try:
        # The parser DVC reads params with: YAML 1.2, where 1e-3 is a number.
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: not found; run from the project's root, or restore it from git") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: cannot be read: {error}") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        raise ParamsError(f"{path}:{line} not valid YAML: {getattr(error, 'problem', error)}") from None


PAIR = "expected two whole numbers, [first, second]"
LISTS = {
    "network.fast.filters": "expected a list of 2 to 7 whole numbers, such as [32, 64]",
    "train.sizes": "expected a list of one share or more, such as [0.5, 0.75]",
}
LIST_ERRORS = {"tuple_type", "too_long", "too_short", "missing"}
EXPECTED = {"string_pattern_mismatch": "expected 64 hexadecimal digits, or nothing"}


def _explain(error: ErrorDetails, record: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key '{key}'; {_nearest(str(error['loc'][-1]), _known_keys(record, error['loc'][:-1]))}"
    if error["type"] == "missing" and isinstance(error["loc"][-1], str):
        return f"'{key}' is missing; add it, or restore the file from git"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":  # our own checks name their keys and values
        return f"{key}: {message}" if key else message
    value = textwrap.shorten(json.dumps(error["input"]), 80, placeholder=" ...")
    message = EXPECTED.get(error["type"], message[0].lower() + message[1:])
    if error["type"] in LIST_ERRORS:
        message = LISTS.get(key, PAIR)
    where = key.removesuffix(".1") if error["type"] == "missing" else key  # half of a pair: all of it is shown
    return f"{where or 'the file'} is {value}: {message}"


def _nearest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known)}"


def _known_keys(record: type[BaseModel], section: tuple[int | str, ...]) -> list[str]:
    for name in section:
        annotation = record.model_fields[str(name)].annotation
        assert isinstance(annotation, type) and issubclass(annotation, BaseModel)
        record = annotation
    return list(record.model_fields)
