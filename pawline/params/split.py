"""The section `split` of `params.yaml`."""

from typing import Self

from pydantic import Field, model_validator

from pawline.params.record import Record


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
