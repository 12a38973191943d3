"""Likely wrong labels are listed by models that did not train on the pictures, and decided on a page."""

import csv
import hashlib
import json
import re
import shutil
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from pawline.cli.suspects import run as suspects
from pawline.errors import DatasetError, ModelError, ParamsError
from pawline.label_queue import Queued
from pawline.page.suspects import render_queue, render_suspects
from pawline.prepared import PreparedImages
from pawline.relabel import NO_CLASS, read_decisions
from pawline.suspects import HeldOutPredictions, find_suspects, from_folds, from_held_out, still_open
from tests.browser import serious_barriers
from tests.conftest import encode, run, stripes
from tests.planted import plant_gps
from tests.test_runtime import write_brightness

NAMES = ["cat", "dog"]
HOSTILE = '"></script><script>alert(1)</script>'


def judged(labels: list[str], dogs: list[float], digests: list[str] | None = None) -> HeldOutPredictions:
    """Pictures with the probability of a dog."""
    table = pd.DataFrame({"path": [f"{place}.jpg" for place in range(len(labels))], "label": labels})
    table = table.assign(digest=digests or [f"{place:064x}" for place in range(len(labels))])
    return HeldOutPredictions(
        table.assign(probability_cat=1 - np.array(dogs), probability_dog=dogs), "from an example"
    )


# Row 1 says cat and looks like a dog; row 4 says dog and looks like a cat.
EXAMPLE = judged(["cat", "cat", "cat", "dog", "dog", "dog"], [0.02, 0.97, 0.1, 0.9, 0.05, 0.95])


def test_suspects_come_with_what_the_model_says() -> None:
    found = find_suspects(EXAMPLE, NAMES)
    assert found["path"].tolist() == ["1.jpg", "4.jpg"]
    first = found.iloc[0].to_dict()
    assert (first["label"], first["suggested"], first["digest"]) == ("cat", "dog", f"{1:064x}")
    assert (first["probability_of_label"], first["probability_of_suggested"]) == pytest.approx((0.03, 0.97))


def test_a_decision_ends_the_suspicion_also_before_the_data_has_the_label() -> None:
    found = find_suspects(EXAMPLE, NAMES)

    def left(decided: dict[str, str]) -> tuple[list[str], int]:
        open_ones, num_waiting = still_open(found, decided)
        return open_ones["path"].tolist(), num_waiting

    assert left({}) == (["1.jpg", "4.jpg"], 0)
    assert left({f"{1:064x}": "cat"}) == (["4.jpg"], 0)  # confirmed: nothing is left to do
    assert left({f"{1:064x}": "dog", f"{4:064x}": NO_CLASS, f"{2:064x}": "dog"}) == ([], 2)


def test_copies_are_asked_about_once() -> None:
    digests = [f"{place:064x}" for place in (0, 1, 1, 3, 4, 5)]
    copies = judged(["cat", "cat", "cat", "dog", "dog", "dog"], [0.02, 0.97, 0.97, 0.9, 0.9, 0.95], digests)
    assert find_suspects(copies, NAMES)["path"].tolist() == ["1.jpg"]


def test_folds_may_number_or_name_the_labels(tmp_path: Path) -> None:
    table = EXAMPLE.predictions.assign(group="", fold=0)
    for labels in (table["label"], table["label"].map({"cat": 0, "dog": 1})):
        table.assign(label=labels).to_parquet(tmp_path / "predictions.parquet")
        found = from_folds(tmp_path / "predictions.parquet", NAMES)
        assert find_suspects(found, NAMES)["path"].tolist() == ["1.jpg", "4.jpg"]
        assert found.source.startswith("from folds: all 6 pictures")


def test_the_command_says_what_it_judged_by(finished_workspace: Path, tmp_path: Path) -> None:
    """One run of the command as a user types it: from val and test, then from folds, then a page."""
    workspace = Path(shutil.copytree(finished_workspace, tmp_path / "a space", symlinks=True))
    command = ("python", "-m", "pawline.cli", "suspects", "--json")
    answer = json.loads(run(workspace, *command).stdout)
    split = pd.read_parquet(workspace / "data/split.parquet")
    held_out = split[split["split"] != "train"]
    assert answer["source"].startswith(f"from val and test: {len(held_out)} of {len(split)} pictures")
    assert answer["num_suspects"] == len(answer["suspects"])

    from pawline.parts import data_digest

    names = ["horizontal", "vertical"]
    label = split["label"].to_numpy()
    probabilities = np.eye(2)[label] * 0.9 + 0.05
    probabilities[3] = probabilities[3, ::-1]
    folds = workspace / ".pawline/folds" / data_digest(split) / "predictions.parquet"
    folds.parent.mkdir(parents=True)
    split.assign(
        fold=0, probability_horizontal=probabilities[:, 0], probability_vertical=probabilities[:, 1]
    ).to_parquet(folds)
    answer = json.loads(run(workspace, *command, "--out", "suspects.html").stdout)
    assert answer["source"].startswith("from folds")
    (only,) = answer["suspects"]
    assert (only["path"], only["label"]) == (split.loc[3, "path"], names[label[3]])
    assert "data:image/jpeg" in (workspace / "suspects.html").read_text()
    other = names[1 - label[3]]
    (workspace / "data/relabel.csv").write_text(f"digest,label\n{only['digest']},{other}\n")
    said = run(workspace, *command[:-1])
    assert (said.stdout, said.stderr.startswith("pawline: no likely wrong labels and 1 decided one, which")) == (
        "",
        True,
    )


def test_without_a_run_the_next_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="data/prepared: not there; make it with `dvc repro`"):
        suspects(Namespace(out=None, json=False, limit=5, queue=None))
    with pytest.raises(ParamsError, match=r"^none\.csv: no such file; give the file that `pawline drift` made"):
        suspects(Namespace(out=Path("page.html"), json=False, limit=5, queue=Path("none.csv")))


def test_a_model_of_other_classes_is_refused(tmp_path: Path) -> None:
    file = write_brightness(tmp_path, class_names=["cat", "emu"])
    images = cast(PreparedImages, SimpleNamespace(class_names=NAMES))
    with pytest.raises(ModelError, match="it knows the classes cat, emu, but the data has cat, dog"):
        from_held_out(images, pd.DataFrame(), file)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Files of the example; one carries GPS data and a path in its EXIF block, one is gone."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.jpg").write_bytes(encode(stripes(True, number)))
    plant_gps(folder / "1.jpg")
    (folder / "4.jpg").unlink()
    return folder


def page_of(raw: Path, label: str = "cat") -> str:
    found = find_suspects(EXAMPLE, NAMES).replace({"label": {"cat": label}})
    return render_suspects(found, [label, "dog"], "from an example", raw)


def test_the_page_holds_pixels_only(raw: Path) -> None:
    import base64

    html = page_of(raw)
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert len(pictures) == 1 and "cannot be shown" in html
    content = base64.b64decode(pictures[0])
    assert b"PLANTED" not in content and b"Exif" not in content and "PLANTED" not in html
    assert str(raw.parent) not in html


def test_the_page_asks_nobody_and_runs_its_own_script_alone(raw: Path) -> None:
    import base64

    html = page_of(raw, HOSTILE)
    assert not re.search(r"https?://|<link|<iframe|@import|url\(", html)
    assert html.count("<script") == 2 and "alert(1)</script>" not in html
    script = html.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html and "unsafe-eval" not in html


def test_a_command_on_the_page_is_code_and_no_backtick(raw: Path) -> None:
    source = "from val and test: `pawline folds` judges <the rest> too"
    html = render_suspects(find_suspects(EXAMPLE, NAMES), NAMES, source, raw)
    assert (
        "From val and test: <code>pawline folds</code> judges &lt;the rest&gt; too. The likeliest mistakes" in html
    )
    assert "`" not in html.split("<script>")[0]


def test_a_page_without_suspects_says_so_and_offers_no_buttons(raw: Path) -> None:
    html = render_suspects(find_suspects(EXAMPLE, NAMES).head(0), NAMES, "from an example", raw)
    assert "<h1>No likely wrong labels</h1>" in html and "No label looks wrong." in html
    assert "The likeliest mistakes come first" not in html and '<div class="bar" hidden>' in html


def test_decisions_are_made_by_keyboard_and_downloaded(raw: Path, tmp_path: Path, browser: Any) -> None:
    (tmp_path / "page.html").write_text(page_of(raw, 'a "cat", tabby'))
    context = browser.new_context(viewport={"width": 360, "height": 640}, offline=True)
    page, problems, requests = context.new_page(), [], []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((tmp_path / "page.html").as_uri())
    page.fill("#who", "Ada L.")
    page.locator("li").first.focus()
    for key in ("Enter", "n", "u", "K"):  # as the model says; none; undone; the label is right, with Shift
        page.keyboard.press(key)
    assert page.inner_text("#count") == "2 of 2 decided"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    with page.expect_download() as download:
        page.keyboard.press("s")
    file = tmp_path / "decisions.csv"
    download.value.save_as(file)
    assert download.value.suggested_filename == "decisions.csv"
    assert [(one.path, one.label, one.who) for one in read_decisions(file)] == [
        ("1.jpg", "dog", "Ada L."),
        ("4.jpg", "dog", "Ada L."),
    ]
    page.keyboard.press("u")
    page.keyboard.press("n")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(file)
    assert [row["label"] for row in csv.DictReader(file.open())] == ["dog", NO_CLASS]
    assert [serious_barriers(page, scheme) for scheme in ("light", "dark")] == [[], []]
    assert problems == [] and [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


def test_a_picture_of_the_queue_has_no_label_to_confirm(raw: Path, tmp_path: Path, browser: Any) -> None:
    digests = [hashlib.sha256((raw / f"{number}.jpg").read_bytes()).hexdigest() for number in range(2)]
    queue = [Queued(one, str(raw / f"{number}.jpg"), "dog", 0.6, "unsure") for number, one in enumerate(digests)]
    (raw / "1.jpg").write_bytes(encode(stripes(True, 99)))
    html = render_queue(queue, NAMES, "chosen by an example")
    assert html.count('src="data:image/jpeg') == 1 and "cannot be shown" in html, "the second one was changed"
    assert "2 pictures worth a label" in html and "labelled" not in html.split("<main>")[1].split("<script")[0]
    (tmp_path / "page.html").write_text(html)
    page = browser.new_context(offline=True).new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.locator("li").first.focus()
    page.keyboard.press("k")
    assert page.inner_text("#count") == "0 of 2 decided"
    page.keyboard.press("Enter")  # as the model says
    page.locator("li").nth(1).get_by_text("It is cat").click()
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "decisions.csv")
    decided = read_decisions(tmp_path / "decisions.csv")
    assert [(one.digest, one.label) for one in decided] == [(digests[0], "dog"), (digests[1], "cat")]
