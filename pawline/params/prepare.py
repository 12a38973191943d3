"""The section `prepare` of `params.yaml`."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from pawline.params.record import Record


class _Form(Record):
    image_size: int = Field(ge=8, le=1024)
    color: Literal["grayscale", "rgb"]
    aspect: Literal["stretch", "crop", "pad"]
    background: int = Field(ge=0, le=255)
    bits: int | None = Field(None, ge=9, le=16)
    max_megapixels: float = Field(64, gt=0, le=10_000)

    @property
    def num_channels(self) -> int:
        return 1 if self.color == "grayscale" else 3


class ImageForm(_Form):
    """The form of a picture as `prepare` stores it, or as a network sees it. The model's card records the latter."""

    # Where the network sees smaller pictures than the prepared ones: the side of those, shrunk to `image_size`.
    shrunk_from: int | None = Field(None, ge=8, le=1024)

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out fields that were added later and have their default: files and keys of before stay as they are."""
        values: dict[str, Any] = dump(self)
        fields, added = ImageForm.model_fields, ("bits", "max_megapixels", "shrunk_from")
        return {k: v for k, v in values.items() if k not in added or v != fields[k].default}

    @property
    def prepared_size(self) -> int:
        """The side of the prepared picture, in pixels."""
        return self.shrunk_from or self.image_size

    def shrunk_to(self, side: int) -> "ImageForm":
        """The form of these pictures shrunk to a side, in pixels; the same form where it is their side."""
        if side == self.image_size:
            return self
        return self.model_copy(update={"image_size": side, "shrunk_from": self.prepared_size})


class PrepareParams(_Form):
    max_bad_fraction: float = Field(ge=0, le=1)
    cache_gigabytes: float = Field(ge=0)

    @property
    def form(self) -> ImageForm:
        return ImageForm(**{name: getattr(self, name) for name in _Form.model_fields})
