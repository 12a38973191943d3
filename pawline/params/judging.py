"""The section `judging` of `params.yaml`."""

from pydantic import Field

from pawline.params.record import Record


class JudgingParams(Record):
    cost_of_error: float = Field(default=1.0, gt=0)
    cost_of_unsure: float = Field(default=0.2, gt=0)
