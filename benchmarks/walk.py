"""The walk's page of a drawn cat, by network (docs/explain.md):

    python -m benchmarks.walk                     # untrained networks of params.yaml, and MobileNetV3Small
    python -m benchmarks.walk --model FILE …      # trained ones

Seconds from the kept neutral form to the written page, the fastest of three; the page's bytes; the largest differences
that the page itself measures in Chromium: layers (as a share of the layer's largest value), logits and probabilities;
requests to anything but the file; frames per second while the window plays at 60 pixels per second for 3 seconds.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.photographs import machine
from tests.browser import chromium

SIDE = 64


def untrained(folder: Path) -> list[Path]:
    """Save networks that nobody trained, each with its card in a folder of its name; return their files."""
    from pawline.card import Card, Conditions, write_card
    from pawline.files import file_digest
    from pawline.model.backend import keras
    from pawline.model.saved import save_model
    from pawline.params.prepare import ImageForm
    from pawline.params.whole import load_params
    from pawline.training.networks import build_network, finish_network, pretrained

    params, form = load_params().network, ImageForm(image_size=SIDE, color="rgb", aspect="stretch", background=255)
    keras.utils.set_random_seed(1)
    models: dict[str, Any] = {}
    for name in ("classic", "fast"):
        chosen = params.model_copy(update={"name": name})
        models[name] = finish_network(build_network(chosen, form, 2, "float32"), chosen, form, 2, False)
    models["MobileNetV3Small"] = pretrained._network(params.pretrained, form, 2, "float32", None)
    conditions = Conditions(
        num_steps=0, flip_at_test=False, precision="float32", processor="", num_threads=1, one_dnn=True,
        deterministic=True, tensorflow="", keras="",
    )  # fmt: skip
    for name, model in models.items():
        (folder / name).mkdir()
        save_model(model, folder / name / "model.keras")
        card = Card(
            digest=file_digest(folder / name / "model.keras"), class_names=["cat", "dog"], form=form, network=name,
            num_weights=model.count_params(), training_data_digest="0" * 64, decoder="", conditions=conditions,
        )  # fmt: skip
        write_card(folder / name / "model.keras", card)
    return [folder / name / "model.keras" for name in models]


def cat() -> bytes:
    """The JPEG of a drawn cat."""
    from pawline.drawn.data_set import GeneratedSet, _draw_file

    spec = GeneratedSet(seed=5, num_images_per_class=10, min_side=300, max_side=500, planted_faults=False)
    return _draw_file(spec, "cat", 1)[1]


def make(model: Path, folder: Path, full: bool) -> tuple[float, Path]:
    """The seconds of the fastest of three pages, and the page."""
    from pawline.card import read_card
    from pawline.walk.content import walk_content
    from pawline.walk.kept import kept_network
    from pawline.walk.page import render_walk

    kept_network(model, read_card(model), folder / "kept")
    page, seconds = folder / "walk.html", []
    for _ in range(3):
        begin = time.monotonic()
        card = read_card(model)
        network = kept_network(model, card, folder / "kept")
        page.write_text(render_walk(*walk_content(cat(), "cat.jpg", card, network, full)))
        seconds.append(time.monotonic() - begin)
    return min(seconds), page


def look(page: Path) -> dict[str, Any]:
    """What the page measures about itself in Chromium, with `frames` (per second) and `requests`."""
    with chromium() as browser:
        tab, requests = browser.new_page(viewport={"width": 1200, "height": 900}), list[str]()
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready]", timeout=120_000)
        found: dict[str, Any] = tab.evaluate("walk.result")
        speed = tab.get_by_label("Pixels per second")
        speed.fill("60")
        tab.locator("#window-tool").get_by_role("button", name="Play").click()
        tab.wait_for_timeout(3000)
        frames = np.array(tab.evaluate("walk.frames"))
    found["frames"] = (len(frames) - 1) / ((frames[-1] - frames[0]) / 1000)
    found["requests"] = len([url for url in requests if not url.startswith(("file:", "data:"))])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}\n")
    print(
        "| network | page | made in | layers differ by | logits | probabilities | requests | frames per second |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for model in arguments.model or untrained(folder):
            for full in (False, True):
                seconds, page = make(model, folder, full)
                found = look(page)
                name = model.parent.name + (", --full" if full else "")
                values = [f"{found[key]:.1e}" for key in ("relative", "logits", "probabilities")]
                print(
                    f"| {name} | {page.stat().st_size / 1e6:.1f} MB | {seconds:.1f} s | {' | '.join(values)} | "
                    f"{found['requests']} | {found['frames']:.0f} |"
                )


if __name__ == "__main__":
    main()
