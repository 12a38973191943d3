"""The walk's page and the service's page in a real browser: they ask nobody else, show what the model computes, and
serve everybody.

Both stand in one module since they share Chromium and TensorFlow, whose starts take seconds."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from pawline.card import read_card
from pawline.pictures.decode import decode_image
from pawline.service.limits import Limits
from pawline.service.walks import NO_EPOCHS_HERE
from pawline.walk.content import walk_content
from pawline.walk.formulas import run_network
from pawline.walk.kept import kept_epochs
from pawline.walk.learnt import NO_EPOCHS
from pawline.walk.page import render_walk
from tests.browser import asked_others, is_too_wide, num_without_text, serious_barriers
from tests.browser import opened as open_page
from tests.service_here import service_here
from tests.walked import CLASSES, drawn_cat, flipped_network, keep_two_epochs, save_untrained

READY = "html[data-ready]"
PHONE = 390


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page of a drawn cat through a classic network that kept two epochs, on a phone's width."""
    from pawline.model.neutral import read_model

    folder = tmp_path_factory.mktemp("walk")
    model = save_untrained(folder)
    keep_two_epochs(model)
    card = read_card(model).model_copy(update={"temperature": 1.6})
    learnt = kept_epochs(model, card, folder / "walks")
    assert learnt is not None
    page = render_walk(*walk_content(drawn_cat(), "cat.jpg", card, read_model(model), False, learnt=learnt))
    (folder / "walk.html").write_text(page)
    with open_page(browser, (folder / "walk.html").as_uri(), PHONE, READY) as found:
        yield found


@pytest.fixture(scope="module")
def flipped(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page of a network that takes the mean of the picture and its mirror image, on a desktop's width."""
    network, card = flipped_network()
    file = tmp_path_factory.mktemp("flipped") / "walk.html"
    file.write_text(render_walk(*walk_content(drawn_cat(), "cat.jpg", card, network, False)))
    with open_page(browser, file.as_uri(), 1200, READY) as found:
        yield found


def test_the_pages_own_arithmetic_is_the_models(opened: Any) -> None:
    result = opened.page.evaluate("walk.result")
    assert result["layers"] == result["nodes"] == result["computed"] == 8
    assert result["relative"] <= 1e-4
    assert result["logits"] <= 1e-4 and result["probabilities"] <= 1e-5
    assert "Calculated again in your browser" in opened.page.inner_text("#status")


def test_the_page_is_no_wider_than_a_phone(opened: Any) -> None:
    assert not is_too_wide(opened.page) and num_without_text(opened.page) == 0


def test_the_window_moves_by_keyboard(opened: Any) -> None:
    page = opened.page
    before = page.inner_text("#formula")
    page.locator("#window-tool").get_by_role("button", name="Step", exact=True).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    after = page.inner_text("#formula")
    assert before != after and "The model has" in after
    said = page.locator("#window-tool .sum [role=img]").nth(1).get_attribute("aria-label")
    kernel, numbers = said.split(", row by row: ")
    assert kernel == "Kernel" and len(numbers.split()) == 25, "a screen reader has the 5 x 5 weights"


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
    assert serious_barriers(opened.page, scheme) == []


def test_the_slider_shows_what_the_network_answered_after_each_epoch(opened: Any) -> None:
    """Epoch 2 has the model's weights but for a bias that adds 3 to the last class's logit."""
    page = opened.page
    logits = np.array(page.evaluate("walk.logits()"))
    moved = softmax((logits + [0, 0, 3]) / 1.6)
    slider = page.get_by_role("slider", name="Epoch")
    assert page.inner_text("#epoch-now").startswith("Epoch 3 (the model)")
    kernels = "[...document.querySelectorAll('#learnt canvas')].map((one) => one.toDataURL()).join()"
    model = page.evaluate(kernels)
    slider.focus()
    page.keyboard.press("ArrowLeft")
    label = int(moved.argmax())
    assert page.inner_text("#epoch-now") == f"Epoch 2: “{CLASSES[label]}” with {100 * moved[label]:.1f} %"
    assert page.evaluate(kernels) == model, "epoch 2 has the model's first layer"
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#epoch-now").startswith("At the start: ")
    assert page.evaluate(kernels) != model
    rows = page.locator("#learnt tbody tr")
    assert rows.count() == 3 and "75.0 %" in rows.nth(1).inner_text()


def test_each_epochs_numbers_are_those_of_its_weights(opened: Any) -> None:
    found = opened.page.evaluate("walk.result.learnt")
    assert [one["epoch"] for one in found] == [0, 2, 3]
    assert all(one["maps"] <= 1e-4 and one["logits"] <= 1e-4 and one["probabilities"] <= 1e-5 for one in found)


def test_numbers_that_differ_from_the_models_are_named(opened: Any, browser: Any, tmp_path: Path) -> None:
    network, card = flipped_network()
    content, arrays = walk_content(drawn_cat(), "cat.jpg", card, network, False)
    content["logits"][0] += 2e-4
    (tmp_path / "walk.html").write_text(render_walk(content, arrays))
    with open_page(browser, (tmp_path / "walk.html").as_uri(), 1200, READY) as found:
        assert not found.page.evaluate("walk.result.good")
        assert "Your browser's numbers differ" in found.page.inner_text("#status")
    assert not opened.page.evaluate("isWithin({ maps: NaN })"), "of an epoch too, and where nothing was computed"


def test_what_adds_and_takes_away_sums_up_to_the_mean_of_both_views(flipped: Any) -> None:
    """The table of logits and the class activation map of a network that also looks at the mirror image."""
    page = flipped.page
    assert page.evaluate("walk.result.good")
    logits, totals = page.evaluate("walk.logits()"), page.evaluate("walk.totals")
    assert [totals["logits"][str(label)] for label in range(3)] == pytest.approx(logits, abs=1e-4)
    assert totals["activation"] == pytest.approx(max(logits), abs=1e-4)
    assert "mirror image were turned back" in page.inner_text("#where-tool")
    network, card = flipped_network()
    outputs = run_network(network, decode_image(drawn_cat(), **card.form.model_dump())[None])
    label, kernel = int(np.argmax(logits)), network.nodes[4].weights["kernel"]
    plain, mirror = (outputs[maps][0] @ kernel[:, label] for maps in (2, 6))
    shown = page.evaluate(f"Array.from(activationMap({label}).cam)")
    assert shown == pytest.approx(((plain + mirror[:, ::-1]) / 2).ravel(), abs=1e-4)
    assert page.inner_text("#learnt-tool") == NO_EPOCHS


def test_a_changed_weight_counts_for_both_views(flipped: Any) -> None:
    page, (network, card) = flipped.page, flipped_network()
    tool = page.locator("#what-if-tool")
    assert tool.locator("select").first.inner_text().count("mirror image") == 0, "one layer, though it looks twice"
    number = int(tool.get_by_label("Feature map").input_value())
    for place in (1, 5):  # the convolution of each view
        network.nodes[place].weights["kernel"][0, 0, 0, number] = 0.5
    expected = run_network(network, decode_image(drawn_cat(), **card.form.model_dump())[None])[-1][0]
    tool.get_by_label("Weight in row 0, column 0").fill("0.5")
    page.wait_for_selector("#what-if-tool [data-changed='yes']")
    shown = {row.split("\t")[0]: row.split("\t")[2] for row in tool.locator("tbody tr").all_inner_texts()}
    found = [float(shown[name].replace("−", "-")) for name in CLASSES]
    assert found == pytest.approx(expected, abs=6e-4, rel=1e-3), "rounded to show"


def test_a_depthwise_window_sees_the_channel_of_its_map_alone(flipped: Any) -> None:
    page = flipped.page
    page.locator("#window-tool select").select_option(label="the_depthwise (depthwise convolution)")
    said = page.inner_text("#formula")
    assert said.startswith("sum of the products")
    assert float(said.rsplit(" ", 1)[1].rstrip(".").replace("−", "-")) < 1e-5, "the difference from the model"
    assert not is_too_wide(page) and serious_barriers(page, "light") == []


def test_the_pages_ask_nobody_and_report_no_error(opened: Any, flipped: Any) -> None:
    for found in (opened, flipped):
        assert found.problems == []
        assert asked_others(found) == []


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
        assert serious_barriers(asked.page, scheme) == []


def test_the_service_walks_through_the_network_with_the_picture(asked: Any) -> None:
    with asked.page.context.expect_page() as opening:
        asked.page.get_by_role("button", name="Walk through the network").click()
    walk = opening.value
    walk.wait_for_selector("html[data-ready]", timeout=30_000)
    assert walk.evaluate("walk.result.logits") <= 1e-4
    label = asked.page.inner_text("#label").rpartition(", ")[0]
    assert label in walk.inner_text("#answer")
    assert "secret" not in walk.content()
    assert walk.inner_text("#learnt-tool") == NO_EPOCHS_HERE
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
