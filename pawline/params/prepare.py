"""The section `prepare` of `params.yaml`."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from pawline.params.record import Record


class ImageForm(Record):
    """The form of a prepared picture, the same for training and prediction. The model's card records it."""

    image_size: int = Field(ge=8, le=1024)
    color: Literal["grayscale", "rgb"]
    aspect: Literal["stretch", "crop", "pad"]
    background: int = Field(ge=0, le=255)
    bits: int | None = Field(None, ge=9, le=16)
    max_megapixels: float = Field(64, gt=0, le=10_000)

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out fields that were added later and have their default: files and keys of before stay as they are."""
        values: dict[str, Any] = dump(self)
        fields = ImageForm.model_fields
        added = ("bits", "max_megapixels") if type(self) is ImageForm else ()
        return {k: v for k, v in values.items() if k not in added or v != fields[k].default}

    @property
    def num_channels(self) -> int:
        return 1 if self.color == "grayscale" else 3


class PrepareParams(ImageForm):
    max_bad_fraction: float = Field(ge=0, le=1)
    cache_gigabytes: float = Field(ge=0)

    @property
    def form(self) -> ImageForm:
        return ImageForm(**{name: getattr(self, name) for name in ImageForm.model_fields})
