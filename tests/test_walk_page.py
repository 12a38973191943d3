"""The walk's page and the service's page in a real browser: they ask nobody else, show what the model computes, and
serve everybody.

Both stand in one module since they share Chromium and TensorFlow, whose starts take seconds."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pawline.card import read_card
from pawline.service.limits import Limits
from pawline.walk.content import walk_content
from pawline.walk.page import render_walk
from tests.browser import chromium
from tests.service_here import service_here
from tests.walked import CLASSES, drawn_cat, save_untrained


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The page of a drawn cat in Chromium, on a phone's width: page, problems, requests."""
    from pawline.model.neutral import read_model

    folder = tmp_path_factory.mktemp("walk")
    model = save_untrained(folder)
    card = SimpleNamespace(**dict(read_card(model)) | {"temperature": 1.6})
    content, arrays = walk_content(drawn_cat(), "cat.jpg", card, read_model(model), False)  # type: ignore[arg-type]
    (folder / "walk.html").write_text(render_walk(content, arrays))
    context = browser.new_context(viewport={"width": 390, "height": 800}, offline=True)
    found = SimpleNamespace(page=context.new_page(), problems=[], requests=[])
    found.page.on("console", lambda message: found.problems.append(message.text))
    found.page.on("pageerror", lambda error: found.problems.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto((folder / "walk.html").as_uri())
    # The page's policy keeps wait_for_function from running its code.
    found.page.wait_for_selector("html[data-ready]", timeout=30_000)
    return found


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


def barriers(page: Any) -> list[str]:
    """What axe calls serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [one["id"] for one in found if one["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_serious_barrier(opened: Any, scheme: str) -> None:
    opened.page.emulate_media(color_scheme=scheme)
    assert barriers(opened.page) == []


def test_the_page_asks_nobody_and_reports_no_error(opened: Any) -> None:
    assert opened.problems == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []


@pytest.fixture(scope="module", params=[("classic", 390), ("fast", 1280)], ids=["phone", "desk"])
def asked(request: pytest.FixtureRequest, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The service's page on one width, with the answer for a drawn cat: page, width, network, problems, requests."""
    from pawline.export import export_model, keep_for_walks

    network, width = request.param
    folder = tmp_path_factory.mktemp("service")
    model = save_untrained(folder, network)
    export_model(model, read_card(model), folder / "model.onnx")
    keep_for_walks(model, read_card(model), folder / "kept")
    with service_here(folder / "model.onnx", Limits(), folder / "kept") as (host, port):
        context = browser.new_context(viewport={"width": width, "height": 800})
        found = SimpleNamespace(page=context.new_page(), width=width, network=network, problems=[], requests=[])
        context.on("console", lambda message: found.problems.append(message.text))
        context.on("weberror", lambda error: found.problems.append(str(error.error)))
        context.on("request", lambda one: found.requests.append(one.url))
        found.place = f"http://{host}:{port}/"
        found.page.goto(found.place)
        cat = {"name": "my secret cat.jpg", "mimeType": "image/jpeg", "buffer": drawn_cat()}
        found.page.set_input_files("#file", cat)
        found.page.wait_for_selector("#answer:not([hidden])")
        found.page.wait_for_selector("#walk:not([hidden])")
        yield found
        context.close()


def test_the_service_shows_class_probabilities_and_where_the_class_is_found(asked: Any) -> None:
    page = asked.page
    label, _, probability = page.inner_text("#label").rpartition(", ")
    cells = page.locator("#classes tbody tr").all()
    rows = {row.locator("th").inner_text(): row.locator(".number").inner_text() for row in cells}
    assert set(rows) == set(CLASSES), "a class name is text, whatever it holds"
    assert rows[label] == probability == max(rows.values(), key=lambda one: float(one.split()[0]))
    kinds = {"classic": "Occlusion:", "fast": "Class activation:"}
    assert page.inner_text("#kind").startswith(kinds[asked.network])
    drawn = "[...heat.getContext('2d').getImageData(0, 0, 480, 480).data].some((one) => one > 0)"
    assert page.evaluate(drawn)
    page.get_by_label("Show where the network finds the class", exact=False).uncheck()
    assert page.locator("#heat").is_hidden()
    assert page.get_by_text("Take a photo").is_visible()
    assert page.get_attribute("#camera", "capture") == "environment"


def test_the_services_page_fits_its_width_and_has_no_serious_barrier(asked: Any) -> None:
    assert asked.page.evaluate("document.documentElement.scrollWidth") <= asked.width
    for scheme in ("light", "dark"):
        asked.page.emulate_media(color_scheme=scheme)
        assert barriers(asked.page) == []


def test_the_service_walks_through_the_network_with_the_picture(asked: Any) -> None:
    with asked.page.context.expect_page() as opening:
        asked.page.get_by_role("button", name="Walk through the network").click()
    walk = opening.value
    walk.wait_for_selector("html[data-ready]", timeout=30_000)
    assert walk.evaluate("walk.result.logits") <= 1e-4
    label = asked.page.inner_text("#label").rpartition(", ")[0]
    assert label in walk.inner_text("#answer")
    assert "secret" not in walk.content()
    assert walk.evaluate("document.documentElement.scrollWidth") <= asked.width
    walk.close()


def test_a_dropped_picture_is_asked_and_what_is_no_picture_is_named(asked: Any) -> None:
    page = asked.page
    page.evaluate("""() => {
        const dropped = new DataTransfer();
        dropped.items.add(new File(["no picture"], "notes.txt"));
        document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: dropped }));
    }""")
    page.wait_for_selector("#message:not([hidden])")
    assert page.inner_text("#message").startswith("the picture cannot be read: not_an_image")
    assert page.locator("#answer").is_hidden()


def test_the_services_page_asks_the_service_alone(asked: Any) -> None:
    assert [url for url in asked.requests if not url.startswith((asked.place, "data:", "blob:"))] == []
    refused = "Failed to load resource: the server responded with a status of 422"
    assert [problem for problem in asked.problems if not problem.startswith(refused)] == []
