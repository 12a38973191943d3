"""The report states the content of the tables, escapes it, and depends on nothing else."""

import base64
import json
import re
import tempfile
from argparse import Namespace
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from pawline.card import Card, Conditions
from pawline.cli.report import run as report
from pawline.errors import DatasetError, ParamsError
from pawline.figures import FIGURES, Figure
from pawline.index import COLUMNS
from pawline.page.charts import line_chart
from pawline.page.inputs import ReportInputs
from pawline.page.provenance import named_params
from pawline.params.prepare import ImageForm
from pawline.parts import data_digest
from pawline.pictures.contact_sheet import MAX_TILES, contact_sheet
from pawline.pictures.decode import REASONS, to_jpeg
from pawline.pictures.duplicates import NUM_HASHES
from pawline.prepare import QUARANTINE_COLUMNS
from pawline.prepare import summarize as summarize_prepare
from pawline.prepared import Concatenation, PreparedImages, write_description, write_shard
from pawline.report import FIGURES_FOLLOW, announce, describe, render, report_data
from pawline.split import Split
from pawline.split import summarize as summarize_split
from tests.conftest import encode, stripes
from tests.planted import plant_gps
from tests.source import ROOT

VOID = {"meta", "img", "br", "hr", "link", "input"}
HOSTILE = '"><script>alert("1")</script>\n\u202e{{ 7 * 7 }}&amp;'
NOT_QUARANTINED: list[tuple[str, str, str, str]] = []
HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "loss": [0.7, 0.5, 0.3],
        "accuracy": [0.5, 0.75, 1.0],
        "val_loss": [0.6, 0.4, 0.45],
        "val_accuracy": [0.5, 0.75, 0.75],
        "learning_rate": [0.001, 0.0005, 0.0],
    }
)
CALIBRATION = pd.DataFrame(
    {
        "when": ["before", "after", "after"],
        "bin_low": [0.8, 0.8, 0.9],
        "bin_high": [0.9, 0.9, 1.0],
        "mean_probability": [0.85, 0.82, float("nan")],
        "accuracy": [0.8, 0.8, float("nan")],
        "accuracy_low": [0.7, 0.7, float("nan")],
        "accuracy_high": [0.9, 0.9, float("nan")],
        "num_images": [60, 60, 0],
    }
)
THRESHOLDS = pd.DataFrame(
    {
        "part": ["val", "test", "test", "test"],
        "threshold": [0.8, 0.5, 0.8, 1.0],
        "coverage": [0.9, 1.0, 0.75, 0.0],
        "accuracy": [0.99, 0.75, 0.96, float("nan")],
        "accuracy_low": [0.9, 0.6, 0.8, float("nan")],
        "accuracy_high": [1.0, 0.8, 0.99, float("nan")],
        "cost": [1.0, 2.0, 1.0, 3.0],
        "chosen": [1, 0, 1, 0],
    }
)


@pytest.fixture
def inputs(tmp_path: Path) -> ReportInputs:
    """Two classes of ten images: 6 train, 2 val, 2 test each; one of the four test images is a mistake."""
    return make_inputs(tmp_path, ["cat", "dog"])


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of `inputs`, shared by tests that change nothing."""
    return render_report(make_inputs(tmp_path_factory.mktemp("prepared"), ["cat", "dog"]))


def render_report(inputs: ReportInputs, pictures: bool = True) -> str:
    return render(describe(inputs, pictures))


def make_inputs(
    folder: Path,
    names: list[str],
    quarantined: list[tuple[str, str, str, str]] = NOT_QUARANTINED,
    copies: int = 1,
    num_per_class: int = 10,
) -> ReportInputs:
    """A finished run over striped images. The first test image of the first class is predicted to be of
    the last class; all others are right. The first `copies` images of the first class are duplicates."""
    table = prepared_table(names, num_per_class)
    write_striped(folder, table, names)
    split = table[["path", "digest", "label"]].assign(group=table["digest"], split=parts_of(table, num_per_class))
    split.loc[: copies - 1, "group"] = split.loc[0, "group"]
    predictions = invented_predictions(split[split["split"] == "test"], names)
    quarantine = pd.DataFrame(quarantined, columns=QUARANTINE_COLUMNS)
    index = index_of(table, quarantine)
    return ReportInputs(
        index=index,
        quarantine=quarantine,
        contact_sheet=quarantine.head(MAX_TILES).assign(picture=b""),
        split=split,
        left_out=split.head(0),
        images=PreparedImages(folder),
        history=HISTORY,
        predictions=predictions,
        metrics={
            "ingest": counts_of(index),
            "prepare": summarize_prepare(index, quarantine),
            "split": summarize_split(Split(split, split.head(0), 0, 0, []), names),
            "train": {"num_epochs": 3, "best_epoch": 2, "num_weights": 1234},
            "evaluate": metrics_of(predictions, names),
        },
    )


def prepared_table(names: list[str], num_per_class: int) -> pd.DataFrame:
    rows = [(f"{name}/{i}.jpg", name, label) for label, name in enumerate(names) for i in range(num_per_class)]
    table = pd.DataFrame(rows, columns=["path", "class_name", "label"])
    return table.assign(digest=[f"{row:064x}" for row in range(len(table))], given_part="", given_group="")


def write_striped(folder: Path, table: pd.DataFrame, names: list[str]) -> None:
    """Write a picture for each row as `prepare` does."""
    pictures = [stripes(row.label % 2 == 1, row.Index, 16, 16) for row in table.itertuples()]
    write_shard(folder, 0, Concatenation([np.stack(pictures)]), np.arange(len(pictures)))
    form = ImageForm(image_size=16, color="rgb", aspect="stretch", background=255)
    write_description(folder, table, np.zeros((len(table), NUM_HASHES), np.uint64), names, "none", form)


def parts_of(table: pd.DataFrame, num_per_class: int) -> list[str]:
    num_test = max(num_per_class // 5, 1)
    one_class = ["train"] * (num_per_class - 2 * num_test) + ["val"] * num_test + ["test"] * num_test
    return one_class * (len(table) // num_per_class)


def invented_predictions(test: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    predicted = test["label"].to_numpy().copy()
    predicted[0] = len(names) - 1
    probabilities = np.full((len(test), len(names)), 0.1 / (len(names) - 1))
    probabilities[np.arange(len(test)), predicted] = 0.9
    columns = {f"probability_{name}": probabilities[:, label] for label, name in enumerate(names)}
    actual = [names[label] for label in test["label"]]
    return pd.DataFrame(
        {"path": test["path"].to_numpy(), "actual": actual, "predicted": [names[i] for i in predicted]} | columns
    )


def index_of(table: pd.DataFrame, quarantine: pd.DataFrame) -> pd.DataFrame:
    usable = table.assign(bytes=range(1000, 1000 + len(table)), format="JPEG", width=40, height=30)
    unusable = quarantine.assign(digest="", bytes=0, format="", width=0, height=0, given_part="", given_group="")
    table = pd.concat([usable, unusable]).assign(problem="", animated=False)
    return table.assign(given_class=table["class_name"])[list(COLUMNS)].reset_index(drop=True)


def counts_of(index: pd.DataFrame) -> dict[str, int]:
    num_bytes = int(index["bytes"].sum())
    return {"num_files": len(index), "num_bytes": num_bytes, "num_unlabelled": 0, "num_beside_classes": 0}


def metrics_of(predictions: pd.DataFrame, names: list[str]) -> dict[str, Any]:
    is_correct = predictions["actual"] == predictions["predicted"]
    counts = predictions["actual"].value_counts()
    return {
        "accuracy": 0.7512,
        "accuracy_low": 0.3006,
        "accuracy_high": 0.9544,
        "loss": 0.5,
        "auc": 0.875,
        "num_images": len(predictions),
        "per_class": {
            name: {
                "precision": None if name == names[-1] else 1.0,
                "recall": float(is_correct[predictions["actual"] == name].mean()),
                "num_images": int(counts[name]),
            }
            for name in names
        },
    }


class Page(HTMLParser):
    """Collect the tags without a partner, the attributes of every tag, and the cells of every table row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.unmatched: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unmatched.append(tag)

    def handle_data(self, data: str) -> None:
        if "tr" in self.open:
            self.rows[-1][-1:] = ["".join(self.rows[-1][-1:]) + data.strip()]


def words(html: str) -> str:
    """The text of the page, without tags."""
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def test_headline_gives_accuracy_interval_and_number_of_test_images(html: str) -> None:
    text = words(html)
    assert "75.1% accuracy on 4 test pictures; 95% interval 30.1% to 95.4%" in text
    assert "learned from 12 pictures (train), its best epoch was chosen on 4 others (val)" in text
    assert "AUC 0.8750" in text


def test_a_run_ends_with_its_figures_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make run` prints a table of them afterwards, so the stage is silent there."""
    metrics = {"accuracy": 0.9787, "accuracy_low": 0.926, "accuracy_high": 0.994, "num_images": 1094}
    announce(metrics, Path("reports/report.html"), {})
    assert capsys.readouterr().err == (
        "pawline: report: test accuracy 0.979 (95 % interval 0.926 to 0.994), 1,094 pictures; "
        "reports/report.html shows the whole run\n"
    )
    monkeypatch.setenv(FIGURES_FOLLOW, "1")
    announce(metrics, Path("reports/report.html"), {})
    assert capsys.readouterr().err == ""
    announce(metrics, Path("reports/report.html"), {"words": "1 picture was left out"})
    assert capsys.readouterr().err == (
        "pawline: report: by decisions 1 picture was left out; reports/report.html shows the whole run\n"
    )
    recipe = (ROOT / "Makefile").read_text().partition("\nrun:")[2]
    assert recipe.index(f"{FIGURES_FOLLOW}=1 dvc repro") < recipe.index("pawline.cli.next_commands")


def test_a_new_figure_appears_on_the_page(inputs: ReportInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pawline.page.model_sections.FIGURES", (*FIGURES, Figure("kappa", "Cohen's kappa", ".2f")))
    inputs.metrics["evaluate"]["kappa"] = 0.75
    assert "<dt>Cohen&#39;s kappa</dt><dd>0.75</dd>" in render_report(inputs)


def test_equal_inputs_make_equal_bytes(tmp_path: Path) -> None:
    pages = []
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        pages.append(render_report(make_inputs(tmp_path / name, ["cat", "dog"], copies=3)))
    assert pages[0] == pages[1]


def test_page_refers_to_nothing_outside_itself(html: str) -> None:
    assert not re.search(r"https?://|file://|url\(|@import|<script|<link|<iframe", html)
    text = re.sub(r"base64,[^\"]*", "", html)  # base64 has slashes and letters, so it may spell any path
    assert tempfile.gettempdir() not in text and str(Path.home()) not in text
    for _, attributes in Page(html).attributes:
        for key in {"src", "href"} & set(attributes):
            assert (attributes[key] or "").startswith(("data:image/jpeg;base64,", "#"))


def test_tags_balance_and_pictures_and_headers_are_described(html: str) -> None:
    page = Page(html)
    assert not page.unmatched and not page.open
    assert all(attributes.get("alt") for tag, attributes in page.attributes if tag == "img")
    assert all(attributes.get("scope") for tag, attributes in page.attributes if tag == "th")
    ids = [attributes["id"] for _, attributes in page.attributes if "id" in attributes]
    anchors = [(attributes["href"] or "")[1:] for tag, attributes in page.attributes if tag == "a"]
    assert len(ids) == len(set(ids)) and set(anchors) <= set(ids)


def test_confusion_matrix_matches_a_count_by_hand(html: str) -> None:
    rows = Page(html).rows
    header = rows.index(["actual ↓ predicted →", "cat", "dog", "Pictures"])
    assert rows[header + 1] == ["cat", "150.0%", "150.0%", "2"]  # 1 and its fraction 50.0%, as text without tags
    assert rows[header + 2] == ["dog", "0", "2100.0%", "2"]


def test_class_that_is_never_predicted_has_no_precision(html: str) -> None:
    assert ["dog", "2", "never predicted", "100.0%"] in Page(html).rows


def test_figures_stand_with_their_intervals_and_beside_simple_baselines(inputs: ReportInputs) -> None:
    evaluate = inputs.metrics["evaluate"] | {"auc_low": 0.8, "auc_high": 0.9123}
    evaluate["baselines"] = {"majority": {"accuracy": 0.5}, "color_histogram": {"accuracy": 0.604}}
    evaluate["per_class"]["cat"] |= {"recall_low": 0.1, "recall_high": 0.9}
    html = render_report(replace(inputs, metrics=inputs.metrics | {"evaluate": evaluate}))
    assert "<dt>AUC</dt><dd>0.8750<small>0.8000 to 0.9123</small></dd>" in html
    assert "majority 50.0%, color histogram 60.4%." in html
    assert [row for row in Page(html).rows if row[0] == "cat" and row[-1].endswith("10.0% to 90.0%")]


def test_mistake_is_shown_with_its_probability(html: str) -> None:
    assert html.count('<span class="bad">') == 1
    assert '<span class="bad">dog 90.0%</span><br>is cat' in html


def test_hostile_names_are_escaped_and_spelled_out(tmp_path: Path) -> None:
    bad = [(f"{HOSTILE}/1.jpg", HOSTILE, "empty", f"<b>{HOSTILE}")]
    html = render_report(make_inputs(tmp_path, [HOSTILE, f"{HOSTILE} too"], quarantined=bad, copies=3))
    assert "<script" not in html and "<b>&#34;" not in html
    assert r"&lt;/script&gt;\n\u202e{{ 7 * 7 }}&amp;amp;" in html
    assert not Page(html).unmatched


def test_quarantine_lists_reasons_with_their_meaning_and_stops_at_twenty_files(tmp_path: Path) -> None:
    bad = [(f"cat/{i:03}.txt", "cat", "not_an_image", "of no known format") for i in range(30)]
    html = render_report(make_inputs(tmp_path, ["cat", "dog"], quarantined=bad))
    assert "the content is of no known image format, whatever its name says" in html
    listed = [row[0] for row in Page(html).rows if row[0].endswith(".txt")]
    assert listed == [f"cat/{i:03}.txt" for i in range(20)]
    assert "Listed: 20 of 30" in html


def test_quarantined_files_are_shown_as_a_picture_or_a_tile_with_the_reason(tmp_path: Path) -> None:
    bad = [("cat/1.png", "cat", "too_small", "3 x 2 pixels"), ("dog/2.jpg", "dog", "empty", REASONS["empty"])]
    inputs = make_inputs(tmp_path, ["cat", "dog"], quarantined=bad)
    picture = to_jpeg(stripes(True, 1))
    html = render_report(replace(inputs, contact_sheet=inputs.contact_sheet.assign(picture=[picture, b""])))
    assert f'src="data:image/jpeg;base64,{base64.b64encode(picture).decode()}" alt="Left out as too_small' in html
    assert re.search('width="96" height="96">cat<br>3 x 2 pixels<span class="path" title="cat/1.png">', html)
    assert '<span class="blank">empty</span>dog<span class="path" title="dog/2.jpg">' in html


def test_a_picture_under_two_class_names_comes_with_the_way_out(tmp_path: Path) -> None:
    bad = [(f"{name}/1.jpg", name, "conflicting_label", REASONS["conflicting_label"]) for name in ("cat", "dog")]
    html = render_report(make_inputs(tmp_path, ["cat", "dog"], quarantined=bad))
    assert "<code>pawline relabel FILE</code>. The decision holds for all its copies." in html


def test_the_report_says_where_the_contact_sheet_was_cut(tmp_path: Path) -> None:
    bad = [(f"cat/{i:03}.txt", "cat", "not_an_image", "of no known format") for i in range(MAX_TILES + 10)]
    assert "Shown: 60 of 70." in render_report(make_inputs(tmp_path, ["cat", "dog"], quarantined=bad))


def test_parts_of_the_source_and_files_without_a_class_are_stated(inputs: ReportInputs) -> None:
    assert "parts of its own" not in words(render_report(inputs))
    inputs.index["given_part"] = ["train"] * 19 + ["test"]
    inputs.metrics["ingest"] |= {"num_unlabelled": 7, "num_beside_classes": 1, "num_not_pictures": 3}
    text = words(render_report(inputs))
    assert "parts of its own, which stay as given: 19 files of train and 1 file of test. It has no val" in text
    assert "7 files of a test folder that names no classes and 1 file outside the class folders" in text
    assert "3 files in the class folders left out too: by name and content no picture" in text


def test_what_people_decided_about_labels_stands_beside_the_result(inputs: ReportInputs) -> None:
    """One label of train and one of test were corrected, one of a picture in no part, and two pictures left out."""
    assert "People decided" not in words(render_report(inputs)) and describe(inputs)["decisions"] == {}
    inputs.index.loc[inputs.index["path"].isin(["cat/0.jpg", "dog/9.jpg"]), "given_class"] = "emu"
    inputs.metrics["ingest"] |= {"num_relabelled": 3, "num_removed": 2}
    text = words(render_report(inputs))
    top = text[: text.index("The network learned from")]
    assert (
        "People decided about labels: 3 labels were corrected (1 in train, 1 in test, 1 in none of the parts) and 2 "
        "pictures were left out (data/relabel.csv). So the accuracy above can differ" in top
    )
    assert "Where each of the 22 files (20.2 kB without those left out by decision) went: 12 to train" in text
    assert "0 in quarantine, 2 left out by decision." in text
    assert report_data(describe(inputs))["decisions"]["num_relabelled"] == {"train": 1, "val": 0, "test": 1}


def test_labels_corrected_in_train_alone_leave_the_result_comparable(inputs: ReportInputs) -> None:
    inputs.index.loc[inputs.index["path"] == "cat/0.jpg", "given_class"] = "dog"
    inputs.metrics["ingest"] |= {"num_relabelled": 1, "num_removed": 0}
    text = words(render_report(inputs))
    assert "1 label was corrected (1 in train) (data/relabel.csv)." in text
    assert "So the accuracy above can differ" not in text and "left out by decision" not in text


def test_pictures_of_several_frames_are_counted(inputs: ReportInputs) -> None:
    assert "more than one frame" not in render_report(inputs)
    inputs.index.loc[3:4, "animated"] = True
    assert "2 files of more than one frame or page; the first was taken." in render_report(inputs)


def test_empty_sections_say_so_in_words(inputs: ReportInputs) -> None:
    inputs.predictions["predicted"] = inputs.predictions["actual"]
    html = render_report(inputs)
    assert "Empty: all 20 files could be used." in html
    assert "No two pictures show the same photograph" in html
    assert "There are none: every one of the 4 test pictures was recognized." in html


def test_a_perfect_model_has_no_table_of_weak_segments(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path, ["cat", "dog"], num_per_class=300)  # 120 test pictures: kinds of more than ten
    assert "that differ most" in render_report(inputs)
    inputs.predictions["predicted"] = inputs.predictions["actual"]
    html = render_report(inputs)
    assert "Every test picture was recognized, so none of " in words(html)
    assert 'aria-label="Table: Weak segments"' not in html and not Page(html).unmatched


def test_duplicates_are_shown_as_a_group(tmp_path: Path) -> None:
    html = render_report(make_inputs(tmp_path, ["cat", "dog"], copies=6))
    assert "1 group with 6 pictures" in html and "Judged the same by how they look: 1 group" in html
    assert 'alt="Copy 4 of 6"' in html and "and 2 more" in html and 'alt="Copy 5 of 6"' not in html


def test_identical_files_are_listed_apart_from_near_duplicates(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path, ["cat", "dog"], copies=3)
    inputs.split.loc[:2, "digest"] = inputs.split.loc[0, "digest"]
    html = render_report(inputs)
    assert "The same bytes under several names: 1 group" in html and "Judged the same" not in html


def test_the_page_of_two_hundred_classes_has_a_bounded_size(tmp_path: Path) -> None:
    names = [f"class {number:03} " + "x" * 200 for number in range(200)]
    html = render_report(make_inputs(tmp_path, names, num_per_class=3))
    assert len(html) < 1_500_000
    assert "180 other classes" in html
    assert "the 20 of 200 classes with the most mistakes" in html
    assert not Page(html).unmatched


def test_one_epoch_is_enough(inputs: ReportInputs) -> None:
    inputs.metrics["train"] |= {"num_epochs": 1, "best_epoch": 1}
    html = render_report(replace(inputs, history=inputs.history.head(1)))
    assert "epoch 1: 0.6<" in html and not Page(html).unmatched


def test_the_charts_end_with_the_last_epoch() -> None:
    """Twelve epochs over 344 pixels from 46, so that an epoch is 344 / 11 pixels wide."""
    history = pd.DataFrame({"epoch": range(1, 13), "loss": 1.0, "val_loss": np.linspace(2, 1, 12)})
    chart = line_chart("Loss", history, ["loss", "val_loss"], 12, scale=1, unit="")
    assert chart["x"] == [(46.0, "1"), (171.1, "5"), (327.5, "10")]
    assert chart["lines"][1][1][-1][0] == chart["best"][0] == 390.0
    few = line_chart("Loss", history.head(3), ["loss", "val_loss"], 3, scale=1, unit="")
    assert [text for _, text in few["x"]] == ["1", "2", "3"]


def test_a_data_set_of_empty_files_has_no_sizes(inputs: ReportInputs) -> None:
    inputs.index[["width", "height", "bytes"]] = 0
    assert "0 of 20 have a header that tells" in render_report(inputs)


def test_the_same_content_is_plain_data_without_pictures(inputs: ReportInputs) -> None:
    content = describe(inputs)
    text = json.dumps(report_data(content), allow_nan=False)
    assert "base64" not in text and "polyline" not in text
    data = json.loads(text)
    assert data["metrics"]["evaluate"]["accuracy"] == 0.7512
    assert data["examples"]["mistakes"] == [
        {"path": "cat/8.jpg", "actual": "cat", "predicted": "dog", "probability": 0.9}
    ]
    assert {"segments", "shortcuts", "drift", "leaks", "suspects", "alarms"} <= set(data["findings"])
    assert len(data["training"]["rows"]) == 3


def test_a_page_without_pictures_has_none_and_the_same_figures(tmp_path: Path) -> None:
    bad = [("cat/1.png", "cat", "too_small", "3 x 2 pixels")]
    inputs = make_inputs(tmp_path, ["cat", "dog"], quarantined=bad, copies=3)
    inputs = replace(inputs, contact_sheet=inputs.contact_sheet.assign(picture=[to_jpeg(stripes(True, 1))]))
    with_pictures, without = (render_report(inputs, pictures) for pictures in (True, False))
    assert "<img" in with_pictures and "<img" not in without and "base64" not in without
    assert "75.1% accuracy on 4 test pictures" in words(without)
    assert "This page was made without pictures." in without and not Page(without).unmatched
    assert report_data(describe(inputs, pictures=False)) == report_data(describe(inputs))


def test_alarms_stand_on_top_and_a_clean_page_says_so(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path, ["cat", "dog"], num_per_class=60)
    inputs.index["bytes"] = 1000  # they count up, so that the dogs' files are the larger ones
    assert "No alarm: no weak segment, no shortcut, no drift and no leak was found." in words(
        render_report(inputs)
    )
    inputs.index.loc[inputs.index["class_name"] == "dog", "format"] = "PNG"
    text = words(render_report(inputs))
    assert "Format alone tells the class: 100.0%, where guessing reaches 50.0%. See why" in text
    assert "No alarm" not in text and '<tr class="alarm">' in render_report(inputs)


def test_a_leak_that_the_split_let_through_is_named(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path, ["cat", "dog"])
    inputs.split.loc[inputs.split["path"] == "dog/9.jpg", "group"] = inputs.split.loc[0, "group"]
    html = render_report(inputs)
    assert "1 test picture stand in train too" not in html and "1 test picture stands in train too" in html
    assert ["dog/9.jpg", "cat/0.jpg", "same group"] in Page(html).rows


def test_a_likely_wrong_label_is_shown_with_what_it_looks_like(inputs: ReportInputs) -> None:
    text = words(render_report(inputs))
    assert "labelled cat looks like dog 90.0% cat/8.jpg" in text
    assert "1 test picture may have the wrong label." in text


def test_calibration_and_thresholds_are_drawn_where_evaluate_wrote_them(inputs: ReportInputs) -> None:
    html = render_report(inputs)
    assert "No calibration: reports/calibration.csv is not there." in html
    assert "No threshold curve: reports/thresholds.csv is not there." in html
    content = describe(replace(inputs, calibration=CALIBRATION, thresholds=THRESHOLDS))
    html = render(content)
    text = words(html)
    assert "Below a probability of 0.8, chosen on val" in text
    assert "answers for 75.0% of the test pictures, and 96.0% of its answers are right (95% interval 80.0%" in text
    # 0.82 of 344 pixels from 46; 0.8 of 276 pixels up from 300.
    assert '<circle cx="328.1" cy="79.2" r="4"/>' in html and html.count('<g class="point') == 2
    rows = Page(html).rows
    assert ["after", "80.0% to 90.0%", "60", "82.0%", "80.0%", "70.0% to 90.0%"] in rows
    assert ["0.800 (chosen)", "75.0%", "96.0%", "80.0% to 99.0%", "1"] in rows
    assert ["1.000", "0.0%", "–", "–", "3"] in rows, "no answer, so no accuracy"
    assert not Page(html).unmatched
    assert report_data(content)["thresholds"]["rows"][2]["accuracy"] is None


def map_of(path: str) -> pd.DataFrame:
    """The table of one mistake's map: its upper edge speaks for the wrong class."""
    heat = np.zeros((4, 4), np.uint8)
    heat[0] = 255
    return pd.DataFrame({"path": [path], "method": "occlusion", "side": 4, "map": [heat.tobytes()]})


def test_the_map_of_a_mistake_stands_beside_it(inputs: ReportInputs) -> None:
    assert "No maps beside them" in render_report(inputs)
    html = render_report(replace(inputs, activations=map_of("cat/8.jpg")))
    (found,) = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)" alt="Where it looks like dog"', html)
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(found), np.uint8), cv2.IMREAD_COLOR).astype(int)
    orange = picture[:, :, 2] - picture[:, :, 0]  # red minus blue
    assert orange[0].mean() > 100 > 20 > abs(orange[-1].mean())
    assert "by how much its probability falls when the place is covered" in html


def card_of(inputs: ReportInputs) -> Card:
    """The card of a model that was trained on the data of the page."""
    conditions = Conditions(
        num_steps=1200, flip_at_test=False, precision="float32", processor="AuthenticAMD", num_threads=2,
        one_dnn=True, deterministic=True, tensorflow="2.21.0", keras="3.15.0",
    )  # fmt: skip
    return Card(
        digest="a" * 64, class_names=["cat", "dog"], form=inputs.images.form, network="fast", num_weights=1234,
        training_data_digest=data_digest(inputs.split), decoder="none", conditions=conditions,
    )  # fmt: skip


def test_the_card_names_model_and_data_by_digest(inputs: ReportInputs) -> None:
    assert "No card: the model came without one." in render_report(inputs)
    card = card_of(inputs)
    html = render_report(replace(inputs, card=card))
    rows = Page(html).rows
    assert ["Model", "a" * 64] in rows and ["Network", "fast, 1,234 weights"] in rows
    assert ["Training data", data_digest(inputs.split)] in rows
    assert "trained on other data" not in html and "Params of the stages" not in html
    with_params = replace(inputs, card=card, params={"train.epochs": 3})
    assert ["train.epochs", "3"] in Page(render_report(with_params)).rows
    other = replace(inputs, card=card.model_copy(update={"training_data_digest": "b" * 64}))
    assert "The model was trained on other data than this page describes." in render_report(other)


def test_the_card_lists_what_the_recipe_chose(inputs: ReportInputs) -> None:
    card = card_of(inputs)
    assert "Chosen by the recipe" not in render_report(replace(inputs, card=card))
    recipe = {"train.sizes": [0.5, 0.75], "train.ema": 0.0, "train.patience": 10**9}
    chosen = card.model_copy(update={"recipe": recipe, "chosen": list(recipe)})
    rows = Page(render_report(replace(inputs, card=chosen))).rows
    assert ["Chosen by the recipe", "sizes [0.5,0.75], ema 0, patience never"] in rows


def test_the_page_names_params_but_no_place_of_this_machine() -> None:
    values = {"ingest.source": "/home/a/photos", "network.name": "pretrained", "network.fast.filters": [8]}
    values |= {
        "network.pretrained.weights": "/home/a/w.h5",
        "train.epochs": 3,
        "check": {},
        "promotion.level": 0.1,
    }
    named = {"network.name": "pretrained", "network.pretrained.weights": "w.h5", "train.epochs": 3}
    assert named_params(values) == named


def test_no_metadata_of_a_file_reaches_the_page(tmp_path: Path) -> None:
    """A picture with GPS data and a path in its EXIF block, decoded as `prepare` does and quarantined as it is."""
    file = tmp_path / "source/1.jpg"
    file.parent.mkdir()
    file.write_bytes(encode(stripes(True, 1)))
    plant_gps(file)
    raw = file.read_bytes()
    (tmp_path / "prepared").mkdir()
    bad = [("cat/1.png", "cat", "too_small", "3 x 2 pixels")]
    inputs = make_inputs(tmp_path / "prepared", ["cat", "dog"], quarantined=bad)
    index = inputs.index.head(1).assign(path="1.jpg")
    sheet = contact_sheet(index, inputs.quarantine.assign(path="1.jpg"), file.parent)
    html = render_report(replace(inputs, contact_sheet=sheet))
    assert b"PLANTED-GPS" in raw and "PLANTED" not in html and str(tmp_path) not in html
    pictures = [base64.b64decode(found) for found in re.findall(r'base64,([^"]+)"', html)]
    assert len(pictures) > 20
    for picture in pictures:
        assert b"PLANTED" not in picture and b"Exif" not in picture and b"GPS" not in picture


def test_a_page_for_others_is_made_by_one_command(
    inputs: ReportInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pawline.page.inputs.read_inputs", lambda files: inputs)
    monkeypatch.chdir(tmp_path)
    assert report(Namespace(no_pictures=True, out=Path("page.html"))) == 0
    assert report(Namespace(no_pictures=False, out=Path("page.json"))) == 0
    assert "<img" not in Path("page.html").read_text()
    assert json.loads(Path("page.json").read_text())["num_images"] == 20
    assert capsys.readouterr().out.startswith("page.html: ")
    Path("dvc.yaml").touch()
    with pytest.raises(
        ParamsError, match=r"^reports/report.html: belongs to the pipeline; name another with --out"
    ):
        report(Namespace(no_pictures=True, out=Path("reports/report.html")))


def test_a_page_without_a_finished_run_names_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=r"data/index.parquet: not there; make it with `dvc repro`"):
        report(Namespace(no_pictures=True, out=Path("page.html")))
