"""The section `network` of `params.yaml`: a record per network, which also knows the picture sizes it supports."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pawline.params.prepare import ImageForm
from pawline.params.record import Record, Sha256

MIN_PRETRAINED_SIZE = 32  # pixels; the architectures of keras.applications refuse smaller pictures
SMALL_PRETRAINED_SIZE = 128  # pixels; features of smaller pictures are much worse

Pair = Annotated[tuple[int, int], Field(description="two whole numbers, [first, second]")]


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

    def picture_sizes(self, image_size: int, fractions: tuple[float, ...]) -> list[int]:
        """Sides of the training pictures, in pixels: one, since the fully connected layer fits a single size."""
        return [image_size]

    def size_problem(self, image_size: int) -> str:
        """The reason why pictures of this size are too small, or "". A message puts it after the network's name."""
        sizes = self.map_sizes(image_size)
        if min(sizes) >= 1:
            return ""
        return f": its feature maps would shrink to {sizes}; use larger images, smaller pool windows or smaller strides"

    def map_sizes(self, image_size: int) -> list[int]:
        """Sides of the feature maps after each of the four layers, in pixels; below 1 where nothing is left."""
        sizes, size = [], image_size
        for stride, window, pool_stride in zip(self.stride, self.pool_window, self.pool_stride, strict=True):
            size = -(-size // stride)  # convolutions pad with zeros, so only their stride shrinks the map
            sizes.append(size)
            size = (size - window) // pool_stride + 1
            sizes.append(size)
        return sizes


class FastParams(Record):
    filters: Annotated[
        tuple[int, ...],
        Field(min_length=2, max_length=7, description="a list of 2 to 7 whole numbers, such as [32, 64]"),
    ]

    @model_validator(mode="after")
    def each_width_has_filters(self) -> Self:
        if min(self.filters) < 1:
            raise ValueError(f"filters is {list(self.filters)}; each number must be 1 or more")
        return self

    def picture_sizes(self, image_size: int, fractions: tuple[float, ...]) -> list[int]:
        """Sides of the training pictures, in pixels: multiples of the total stride, since a map of odd size is halved
        upwards, so that pictures of 40 pixels take nearly as long as those of 48.

        fractions: `train.sizes`, of image_size."""
        stride = self.total_stride
        return [
            stride * max(1, min(image_size // stride, round(fraction * image_size / stride)))
            for fraction in fractions
        ]

    def size_problem(self, image_size: int) -> str:
        """The reason why pictures of this size are too small, or "". A message puts it after the network's name."""
        if image_size >= self.total_stride:
            return ""
        return (
            f", whose {len(self.filters)} widths each halve it; use at least {self.total_stride}, or fewer filters"
        )

    @property
    def total_stride(self) -> int:
        """Pixels of the picture, along a side, for each pixel of the last maps."""
        return int(2 ** len(self.filters))


class PretrainedParams(Record):
    architecture: Literal[
        "EfficientNetLite0",
        "EfficientNetLite1",
        "EfficientNetLite2",
        "MobileNetV3Small",
        "MobileNetV3Large",
        "EfficientNetV2B0",
        "EfficientNetV2B3",
    ]
    weights: str | None
    sha256: Sha256
    fine_tune: bool | float
    penalty: float | Literal["auto"] = "auto"

    @field_validator("fine_tune", mode="before")
    @classmethod
    def fine_tune_is_a_fraction(cls, value: object) -> object:
        if isinstance(value, bool) or (isinstance(value, float) and 0 < value < 1):
            return value
        raise ValueError(f"it is {value!r}; expected true, false or a fraction of the layers, such as 0.3")

    @field_validator("penalty", mode="before")
    @classmethod
    def penalty_is_positive(cls, value: object) -> object:
        if value == "auto" or (type(value) in (int, float) and 0 < float(str(value)) <= 1000):
            return value
        raise ValueError(f"it is {value!r}; expected auto, or a number above 0 and at most 1000")

    def picture_sizes(self, image_size: int, fractions: tuple[float, ...]) -> list[int]:
        """Sides of the training pictures, in pixels: one."""
        return [image_size]

    def size_problem(self, image_size: int) -> str:
        """The reason why pictures of this size are too small, or "". A message puts it after the network's name."""
        return "" if image_size >= MIN_PRETRAINED_SIZE else f"; use at least {MIN_PRETRAINED_SIZE}"

    @property
    def is_downloaded(self) -> bool:
        """Whether Keras downloads its own weights."""
        return self.weights == "imagenet"

    def advice(self, form: ImageForm) -> list[str]:
        """What to know of pictures that are unlike those which the architecture learned from, a line each."""
        lines = []
        if form.color == "grayscale":
            lines.append(
                f"pictures are grayscale, {self.architecture} learned from RGB: the channel is repeated; "
                "prepare.color rgb is more accurate"
            )
        if form.image_size < SMALL_PRETRAINED_SIZE:
            lines.append(
                f"pictures have {form.image_size} pixels, {self.architecture} learned from larger ones: "
                "prepare.image_size 160 or more is more accurate"
            )
        if not self.fine_tune:
            lines.append(
                f"{self.architecture} is frozen and only a new last layer learns: of the section train, balance, "
                "predict_size and flip_at_test count"
            )
        return lines

    @property
    def is_packaged(self) -> bool:
        """Whether an installed package holds the weights."""
        return self.architecture.startswith("EfficientNetLite")

    @model_validator(mode="after")
    def package_needs_no_file(self) -> Self:
        if self.is_packaged and (self.weights or self.sha256):
            raise ValueError(
                f"weights or sha256 is set, but {self.architecture} takes its weights from an installed package; "
                "leave both empty, or choose another architecture"
            )
        return self

    @model_validator(mode="after")
    def digest_needs_a_file(self) -> Self:
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
        if self.name == "pretrained" and not (self.pretrained.weights or self.pretrained.is_packaged):
            raise ValueError(
                f"pretrained.weights is empty; name a weights file of {self.pretrained.architecture}, or imagenet to "
                "let Keras download its own; or use EfficientNetLite0, whose weights come as a package"
            )
        return self

    def sides(self, image_size: int, sizes: tuple[float, ...], predict_size: float) -> tuple[list[int], int]:
        """(Sides of the training pictures, side at which the model predicts), in pixels; see params.yaml."""
        predicted = self.predicted_side(image_size, predict_size)
        if self.name != "fast":
            return self.section.picture_sizes(predicted, sizes), predicted
        return [min(side, predicted) for side in self.section.picture_sizes(image_size, sizes)], predicted

    def predicted_side(self, image_size: int, predict_size: float) -> int:
        """Side of the pictures that the model predicts at, in pixels; see params.yaml."""
        return max(1, round(predict_size * image_size))

    @property
    def is_frozen(self) -> bool:
        """Whether only a new last layer is trained, on features that are computed once."""
        return self.name == "pretrained" and not self.pretrained.fine_tune

    @property
    def is_fine_tuned(self) -> bool:
        """Whether the weights of others go on learning."""
        return self.name == "pretrained" and not self.is_frozen

    @property
    def section(self) -> FastParams | ClassicParams | PretrainedParams:
        """The section of the network that `name` chooses."""
        section: FastParams | ClassicParams | PretrainedParams = getattr(self, self.name)
        return section
