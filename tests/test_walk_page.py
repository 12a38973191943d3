"""The walk's page in a real browser: it asks nobody, computes what the model computes, and serves everybody."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pawline.card import read_card
from pawline.walk.content import walk_content
from pawline.walk.page import render_walk
from tests.browser import chromium
from tests.walked import drawn_cat, save_untrained


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page of a drawn cat in Chromium, on a phone's width: page, problems, requests."""
    from pawline.model.neutral import read_model

    folder = tmp_path_factory.mktemp("walk")
    model = save_untrained(folder)
    card = SimpleNamespace(**dict(read_card(model)) | {"temperature": 1.6})
    content, arrays = walk_content(drawn_cat(), "cat.jpg", card, read_model(model), False)  # type: ignore[arg-type]
    (folder / "walk.html").write_text(render_walk(content, arrays))
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 390, "height": 800}, offline=True)
        found = SimpleNamespace(page=context.new_page(), problems=[], requests=[])
        found.page.on("console", lambda message: found.problems.append(message.text))
        found.page.on("pageerror", lambda error: found.problems.append(str(error)))
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.goto((folder / "walk.html").as_uri())
        # The page's policy keeps wait_for_function from running its code.
        found.page.wait_for_selector("html[data-ready]", timeout=30_000)
        yield found


def test_the_pages_own_arithmetic_is_the_models(opened: Any) -> None:
    result = opened.page.evaluate("walk.result")
    assert result["layers"] == result["nodes"] == result["computed"] == 8
    assert result["relative"] <= 1e-4
    assert result["logits"] <= 1e-4 and result["probabilities"] <= 1e-5
    assert "Calculated again in your browser" in opened.page.inner_text("#status")


def test_the_page_is_no_wider_than_a_phone(opened: Any) -> None:
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_window_moves_by_keyboard(opened: Any) -> None:
    page = opened.page
    before = page.inner_text("#formula")
    page.locator("#window-tool").get_by_role("button", name="Step", exact=True).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    after = page.inner_text("#formula")
    assert before != after and "The model has" in after


def test_each_control_is_reached_by_tab_and_has_a_name(opened: Any) -> None:
    page = opened.page
    names = []
    page.locator("a.skip").focus()
    for _ in range(25):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.textContent || document.activeElement.ariaLabel"))
    assert {"Picture", "Check", "Play"} <= set(names), "the menu, then the controls"
    controls, labelled = "button, select, input", "one.textContent.trim() || one.ariaLabel || one.labels?.length"
    assert (
        page.evaluate(f"[...document.querySelectorAll('{controls}')].filter((one) => !({labelled})).length") == 0
    )


def test_a_changed_weight_changes_the_map_and_the_answer(opened: Any) -> None:
    page = opened.page
    pixels = "document.querySelector('#what-if-tool figure.yours canvas').toDataURL()"
    before, model = page.evaluate(pixels), page.evaluate("JSON.stringify(walk.logits())")
    weight = page.get_by_label("Weight in row 0, column 0")
    weight.fill("2.5")
    page.wait_for_selector("#what-if-tool [data-changed='yes']")
    assert page.evaluate(pixels) != before
    assert page.evaluate("JSON.stringify(walk.logits())") == model, "the model's own numbers stay"
    page.get_by_role("button", name="Back to the model").click()
    page.wait_for_selector("#what-if-tool [data-changed='no']")
    assert page.evaluate(pixels) == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_serious_barrier(opened: Any, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    opened.page.emulate_media(color_scheme=scheme)
    found = Axe().run(opened.page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def test_the_page_asks_nobody_and_reports_no_error(opened: Any) -> None:
    assert opened.problems == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []
