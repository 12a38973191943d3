"""The section `network` of `params.yaml`: a record per network, which also knows the picture sizes it supports."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pawline.params.record import Record, Sha256

MIN_PRETRAINED_SIZE = 32  # pixels; the architectures of keras.applications refuse smaller pictures

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
    architecture: Literal["MobileNetV3Small", "MobileNetV3Large", "EfficientNetV2B0", "EfficientNetV2B3"]
    weights: str | None
    sha256: Sha256
    fine_tune: bool

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
        if self.name == "pretrained" and not self.pretrained.weights:
            raise ValueError(
                "pretrained.weights is empty; name a weights file, or imagenet to let Keras download its own"
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
    def is_fine_tuned(self) -> bool:
        """Whether weights trained by others change."""
        return self.name == "pretrained" and self.pretrained.fine_tune

    @property
    def section(self) -> FastParams | ClassicParams | PretrainedParams:
        """The section of the network that `name` chooses."""
        section: FastParams | ClassicParams | PretrainedParams = getattr(self, self.name)
        return section
