"""The report in a real browser: it asks nobody, fits on a phone, and serves everybody."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pawline.pictures.decode import REASONS, to_jpeg
from tests.browser import asked_others, chromium, is_too_wide, num_without_text, opened, serious_barriers
from tests.conftest import stripes
from tests.test_report import CALIBRATION, HOSTILE, THRESHOLDS, card_of, make_inputs, map_of, render_report

NAMES = [f"{number} a class with a name that is long" for number in range(5)] + [HOSTILE, "ñ" * 150, "cat"]
QUARANTINED = [(f"{HOSTILE}/{'x' * 90}{reason}.jpg", "cat", reason, "a detail") for reason in REASONS]
SOURCE = """
const one = document.createElement("script");
one.textContent = "document.title = 'it ran'";
document.body.append(one);
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report with every section filled, long and hostile names, thirty epochs and eight classes."""
    folder = tmp_path_factory.mktemp("report")
    inputs = make_inputs(folder, sorted(NAMES), QUARANTINED, copies=2)
    history = pd.concat([inputs.history] * 10, ignore_index=True).assign(epoch=range(1, 31))
    first = inputs.predictions["path"].iloc[0]
    tiles = [to_jpeg(stripes(True, number)) for number in range(len(inputs.contact_sheet))]
    full = replace(
        inputs,
        history=history,
        calibration=CALIBRATION,
        thresholds=THRESHOLDS,
        activations=map_of(first),
        card=card_of(inputs),
        params={"network.name": "fast", HOSTILE: "a value " * 20},
        contact_sheet=inputs.contact_sheet.assign(picture=tiles),
        metrics=inputs.metrics | {"train": inputs.metrics["train"] | {"num_epochs": 30}},
    )
    file = folder / "report.html"
    file.write_text(render_report(full))
    return Path(file).as_uri()


@pytest.fixture(scope="module", params=[390, 1200])
def report(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The report on a phone's and on a desktop's width, with all that is folded shown."""
    with opened(browser, address, request.param) as found:
        found.page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        yield found


def test_the_report_asks_nobody_and_reports_no_error(report: Any) -> None:
    assert report.problems == []
    assert asked_others(report) == []


def test_the_report_is_no_wider_than_the_screen(report: Any) -> None:
    assert not is_too_wide(report.page)


def test_each_picture_of_the_report_is_shown_and_has_a_text(report: Any) -> None:
    assert num_without_text(report.page) == 0
    shown = report.page.evaluate("[...document.images].map((one) => one.complete && one.naturalWidth > 0)")
    assert len(shown) > 20 and all(shown), "the page's policy lets its own pictures through"
    assert report.page.evaluate("[...document.querySelectorAll('svg[role=img]')].every((one) => one.ariaLabel)")


def test_the_report_has_no_serious_barrier(report: Any) -> None:
    """Widths differ in layout, schemes in colours: two of the four pairs show both."""
    scheme = "light" if report.page.viewport_size["width"] == 390 else "dark"
    assert serious_barriers(report.page, scheme) == []


def test_each_table_is_reached_by_keyboard_and_has_a_name(report: Any) -> None:
    """A table that scrolls is a stop of the keyboard; none is nameless or stands outside such a block."""
    page = report.page
    blocks = "[...document.querySelectorAll('table')].map((one) => one.closest('.scroll'))"
    assert page.evaluate(f"{blocks}.length") > 20
    assert page.evaluate(f"{blocks}.every((one) => one?.tabIndex === 0 && one.role === 'region' && one.ariaLabel)")


def test_the_reports_policy_lets_no_script_run(browser: Any, address: str) -> None:
    with opened(browser, address, 390) as found:
        found.page.evaluate(SOURCE)
        assert found.page.title() != "it ran"
        assert any("Content Security Policy" in problem for problem in found.problems)
