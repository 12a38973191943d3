"""The section `prepare` of `params.yaml`."""

from typing import Literal

from pydantic import Field

from pawline.params.record import Record


class ImageForm(Record):
    """The form of a prepared picture, the same for training and prediction. The model's card records it."""

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
