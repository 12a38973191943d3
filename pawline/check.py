"""Compare the figures of the test part with what a model is required to reach."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pawline.errors import ParamsError, PawlineError
from pawline.params.check import AT_MOST, CheckParams
from pawline.parity import Way
from pawline.terminal import listed, say


@dataclass(frozen=True)
class Condition:
    """A bound of the section `check`, and the figure that was found. value: None where there is no such figure, as of a
    class without test pictures; the condition is then not met."""

    figure: str
    class_name: str | None
    bound: float
    value: float | None

    @property
    def name(self) -> str:
        return f"{self.figure} of {self.class_name}" if self.class_name is not None else self.figure

    @property
    def is_minimum(self) -> bool:
        return not self.figure.startswith(AT_MOST)

    @property
    def passed(self) -> bool:
        if self.value is None:
            return False
        return self.value >= self.bound if self.is_minimum else self.value <= self.bound

    def __str__(self) -> str:
        expected = f"expected {'at least' if self.is_minimum else 'at most'} {self.bound:g}"
        found = "has no value, for want of test pictures" if self.value is None else f"is {self.value:.6g}"
        return f"{self.name} {found}, {expected}"


def find_conditions(metrics: Mapping[str, Any], params: CheckParams) -> list[Condition]:
    """Every condition with what `metrics` (of metrics/evaluate.json) say of it.

    Raises ParamsError for a class that the metrics do not name."""
    conditions = []
    for figure, bound in params.model_dump().items():
        if not isinstance(bound, dict):
            conditions.append(Condition(figure, None, bound, metrics[figure]))
            continue
        for class_name, of_class in bound.items():
            found = _of_class(metrics["per_class"], class_name, figure)
            conditions.append(Condition(figure, class_name, of_class, found[figure]))
    return conditions


def summarize(conditions: list[Condition], ways: list[Way], parity: dict[str, Any]) -> dict[str, Any]:
    """The content of metrics/check.json. parity: from parity.summarize."""
    return {
        "passed": all(condition.passed for condition in conditions) and all(way.passed for way in ways),
        "conditions": [asdict(condition) | {"passed": condition.passed} for condition in conditions],
        "parity": parity,
    }


def refuse_failed(conditions: list[Condition], ways: list[Way]) -> None:
    """Show a line for each condition that is not met, and for each way to ask that answers otherwise than Keras.

    Raises PawlineError, exit code 1, if there is one."""
    unmet = [condition for condition in conditions if not condition.passed]
    differing = [way for way in ways if not way.passed]
    for each in [*unmet, *differing]:
        say(f"check: {each}")
    what, next_steps = [], []
    if unmet:
        what.append(f"{len(unmet)} of {len(conditions)} conditions not met: {_names(unmet)}")
        next_steps.append("Improve the model, or change the section check of params.yaml")
    if differing:
        what.append(
            f"{len(differing)} of {len(ways)} ways to ask answer otherwise than Keras: {_names(differing)}"
        )
        next_steps.append("Do not use this model: make it again with the packages of requirements.lock")
    if what:
        raise PawlineError(f"check: {'; '.join(what)}; metrics and report stand. {'. '.join(next_steps)}")


def _names(failed: Sequence[Condition | Way]) -> str:
    return ", ".join(each.name for each in failed)


def _of_class(per_class: Mapping[str, Any], name: str, figure: str) -> Any:
    if name in per_class:
        return per_class[name]
    near = difflib.get_close_matches(name, per_class, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"the classes are {listed(per_class, 10)}"
    raise ParamsError(f"params.yaml: check.{figure} names the class '{name}', which the data has not; {hint}")
