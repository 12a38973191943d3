"""DVC's plots in a real browser that has no network."""

import shutil
from pathlib import Path

from pawline.workspace.plots_template import plots_template
from tests.browser import chromium
from tests.conftest import dvc_here, run
from tests.source import ROOT

NUM_PLOTS = 7 + 5  # those that dvc.yaml names, and each table once more
# Numbers of different colours: one where a canvas is empty.
COLOURS = """canvases => canvases.map(one => new Set(new Uint32Array(
    one.getContext("2d").getImageData(0, 0, one.width, one.height).data.buffer)).size)"""


def test_dvc_draws_its_plots_without_a_network(tmp_path: Path) -> None:
    checkout, template = tmp_path / "a checkout", tmp_path / "a checkout/.venv/plots.html"
    for folder in ("reports", ".dvc/plots", ".venv"):
        (checkout / folder).mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml", ".dvc/config"):
        shutil.copy(ROOT / name, checkout / name)
    for file in [*ROOT.glob("reports/*.csv"), *ROOT.glob(".dvc/plots/*.json")]:
        shutil.copy(file, checkout / file.relative_to(ROOT))
    template.write_text(plots_template(), encoding="utf-8")
    run(checkout, "git", "init", "--quiet")
    with (checkout / ".dvc/config").open("a") as config:
        config.write("[plots]\n    html_template = ../.venv/plots.html\n")
    dvc_here(checkout, "plots", "show")
    page_file = checkout / "dvc_plots/index.html"
    with chromium() as browser:
        page = browser.new_page()
        page.context.set_offline(True)
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(page_file.as_uri())
        page.locator(".vega-embed summary").nth(NUM_PLOTS - 1).wait_for()  # the menu, which comes after the plot
        colours = page.locator("canvas").evaluate_all(COLOURS)
        policy = page.locator("meta[http-equiv]").get_attribute("content")
    assert requests == [page_file.as_uri()]
    assert len(colours) == NUM_PLOTS and min(colours) > 10
    assert policy.startswith("default-src 'none'") and "http" not in policy
