"""The section `promotion` of `params.yaml`."""

from pydantic import Field

from pawline.params.record import Record


class PromotionParams(Record):
    level: float = Field(default=0.05, gt=0, lt=1)
    class_margin: float = Field(default=0.02, ge=0, le=1)
    min_pictures: int = Field(default=50, ge=1)
    max_megabytes: float | None = Field(default=100, gt=0)
    max_milliseconds: float | None = Field(default=200, gt=0)
