"""The stage `check` demands what params.yaml says, and nothing is lost when the answer is no."""

import json
from pathlib import Path
from typing import Any

import pytest

from pawline.check import Condition, find_conditions, refuse_failed, summarize
from pawline.errors import ParamsError, PawlineError
from pawline.evaluate import measure
from pawline.params.check import CheckParams
from tests.conftest import dvc_here, run, set_params
from tests.test_evaluate import drawn

METRICS: dict[str, Any] = {
    "accuracy": 0.9,
    "accuracy_low": 0.85,
    "loss": 0.3,
    "per_class": {"cat": {"recall": 0.8, "recall_low": 0.7}, "dog": {"recall": None, "recall_low": None}},
}


def check(**demands: Any) -> list[Condition]:
    return find_conditions(METRICS, CheckParams.model_validate(demands))


def test_nothing_demanded_is_passed() -> None:
    assert summarize(check(), [], {}) == {"passed": True, "conditions": [], "parity": {}}
    refuse_failed(check(), [])


@pytest.mark.parametrize(
    ("demands", "passed"),
    [
        ({"accuracy": 0.9}, True),  # the bound itself is enough
        ({"accuracy": 0.91}, False),
        ({"accuracy_low": 0.86}, False),
        ({"loss": 0.3}, True),
        ({"loss": 0.29}, False),  # less is better
        ({"recall": {"cat": 0.8}}, True),
        ({"recall_low": {"cat": 0.71}}, False),
        ({"recall": {"dog": 0.1}}, False),  # no test picture of a dog
        ({"accuracy": 0.5, "loss": 0.1}, False),
    ],
)
def test_more_is_better_except_for_losses(demands: dict[str, Any], passed: bool) -> None:
    assert summarize(check(**demands), [], {})["passed"] is passed


def test_every_failed_condition_has_a_line_and_the_exit_code_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    conditions = check(accuracy=0.5, loss=0.25, recall_low={"cat": 0.75, "dog": 0.5})
    with pytest.raises(PawlineError, match="^check: 3 of 4 conditions not met: ") as failed:
        refuse_failed(conditions, [])
    assert failed.value.exit_code == 1
    assert capsys.readouterr().err.splitlines() == [
        "pawline: check: recall_low of cat is 0.7, expected at least 0.75",
        "pawline: check: recall_low of dog has no value, for want of test pictures, expected at least 0.5",
        "pawline: check: loss is 0.3, expected at most 0.25",
    ]
    first = summarize(conditions, [], {})["conditions"][1]
    expected = {"figure": "recall_low", "class_name": "cat", "bound": 0.75, "value": 0.7, "passed": False}
    assert first == expected


@pytest.mark.parametrize(("name", "hint"), [("cta", "did you mean 'cat'?"), ("zebra", "the classes are cat, dog")])
def test_a_class_that_the_data_has_not_is_named(name: str, hint: str) -> None:
    with pytest.raises(ParamsError) as refused:
        check(recall={name: 0.5})
    message = f"params.yaml: check.recall names the class '{name}', which the data has not; {hint}"
    assert str(refused.value) == message


def test_every_figure_that_can_be_demanded_is_measured() -> None:
    metrics = measure(drawn(40, 2), ["cat", "dog"])
    per_class = {"precision", "precision_low", "recall", "recall_low", "f1", "f1_low"}
    assert per_class <= {*metrics["per_class"]["cat"]}
    assert {*CheckParams.model_fields} - per_class <= {*metrics}


def test_params_that_demand_nothing_are_not_listed() -> None:
    assert CheckParams(loss=0.5).model_dump() == {"loss": 0.5}


def test_a_failed_check_leaves_metrics_and_report_and_the_next_repro_asks_again(finished: Path) -> None:
    set_params(finished, {"check": {"accuracy_low": 1.0, "recall": {"vertical": 0.0}}})
    page = (finished / "reports/report.html").read_bytes()
    failed = run(finished, "dvc", "repro", expect=255)
    assert "pawline: check: 1 of 2 conditions not met: accuracy_low; metrics and report stand." in failed.stderr
    assert "failed to reproduce 'check'" in failed.stderr
    written = json.loads((finished / "metrics/check.json").read_text())
    assert [condition["passed"] for condition in written["conditions"]] == [False, True]
    assert written["passed"] is False
    assert (finished / "reports/report.html").read_bytes() == page
    assert list(json.loads(dvc_here(finished, "status", "--json"))) == ["check"]
    set_params(finished, {"check": {}})
    assert "Running" not in run(finished, "dvc", "repro").stdout
    written = json.loads((finished / "metrics/check.json").read_text())
    assert (written["conditions"], written["passed"]) == ([], True)
    assert {*written["parity"]["ways"].values()} == {True}
