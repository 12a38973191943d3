"""The section `split` of `params.yaml`."""

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from pawline.params.record import Record

FOLDER = "folder"


class SplitParams(Record):
    val_fraction: float = Field(gt=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)
    min_per_part: int = Field(default=1, ge=1)
    rare_classes: Literal["refuse", "leave_out", "train_only"] = "refuse"
    group: str | None = None
    near_duplicates: bool = True

    @field_validator("group")
    @classmethod
    def captures_a_group(cls, group: str | None) -> str | None:
        if group is None or group == FOLDER:
            return group
        try:
            has_group = re.compile(group).groups > 0
        except re.error as error:
            raise ValueError(
                f"'{group}' is no regular expression: {error}; write one with a pair of parentheses around the "
                f"group's name, or {FOLDER}"
            ) from None
        if not has_group:
            raise ValueError(
                f"'{group}' has no pair of parentheses; put one around what names the group in a path, as in "
                f"'(patient[0-9]+)', or write {FOLDER}"
            )
        return group

    @model_validator(mode="after")
    def leaves_something_to_train_on(self) -> Self:
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"val_fraction {self.val_fraction} and test_fraction {self.test_fraction} sum to 1 or more; "
                "their sum must stay below 1, the rest is what the network learns from"
            )
        return self
