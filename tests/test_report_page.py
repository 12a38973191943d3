"""The report and the small pages in a real browser: they ask nobody, fit on a phone, and serve everybody."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pawline.compare import compare
from pawline.compare_page import compare_page
from pawline.learning_curve import PowerLaw
from pawline.learning_curve_page import curve_page
from pawline.pictures.decode import REASONS, to_jpeg
from tests.browser import asked_others, is_too_wide, num_without_text, opened, serious_barriers
from tests.conftest import stripes
from tests.test_compare import judged, many, predictions
from tests.test_learning_curve import measured, quick
from tests.test_report import CALIBRATION, HOSTILE, THRESHOLDS, card_of, make_inputs, map_of, render_report

NAMES = [f"{number} a class with a name that is long" for number in range(5)] + [HOSTILE, "ñ" * 150, "cat"]
QUARANTINED = [(f"{HOSTILE}/{'x' * 90}{reason}.jpg", "cat", reason, "a detail") for reason in REASONS]
SOURCE = """
const one = document.createElement("script");
one.textContent = "document.title = 'it ran'";
document.body.append(one);
"""


def page_of_comparison() -> str:
    """A page with long names, params that differ, and pictures fixed and broken."""
    first = judged(predictions(many(40, 100)), name="a" * 70, **{"network.name": "fast", "k" * 60: "v" * 80})
    second = judged(predictions(many(60, 100, first=5)), name="B", **{"network.name": "classic"})
    return compare_page(compare(first, second), None)


def page_of_curve() -> str:
    return curve_page(quick(measured(PowerLaw(floor=0.02, amount=0.1, power=0.5, whole=1000), 2000)))


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


def test_the_navigation_of_the_report_needs_no_scroll_bar_on_a_desktop(report: Any) -> None:
    if report.page.viewport_size["width"] == 1200:
        assert report.page.evaluate("(nav => nav.scrollWidth <= nav.clientWidth)(document.querySelector('nav'))")


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


@pytest.mark.parametrize("make", [page_of_comparison, page_of_curve])
def test_the_small_pages_fit_a_phone_and_have_no_barrier(make: Any, browser: Any, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(make())
    with opened(browser, (tmp_path / "page.html").as_uri(), 390) as found:
        assert not is_too_wide(found.page) and num_without_text(found.page) == 0
        assert [serious_barriers(found.page, scheme) for scheme in ("light", "dark")] == [[], []]
        assert found.problems == [] and asked_others(found) == []


def test_the_reports_policy_lets_no_script_run(browser: Any, address: str) -> None:
    with opened(browser, address, 390) as found:
        found.page.evaluate(SOURCE)
        assert found.page.title() != "it ran"
        assert any("Content Security Policy" in problem for problem in found.problems)
