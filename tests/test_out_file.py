"""What a command writes where --out says replaces nothing but what Pawline made, whatever the command."""

import os
import re
import shutil
from pathlib import Path

import pytest

from pawline.card import Card, card_path, write_card
from pawline.cli import out_file
from pawline.cli.export import run as export
from pawline.cli.out_file import HEAD_OF_A_PAGE, PAGE, QUEUE, REPORT_DATA, check_out, is_page, write_out
from pawline.errors import ParamsError, PawlineError
from pawline.files import file_digest, write_bytes
from pawline.label_queue import QUEUE_COLUMNS
from pawline.page.suspects import render_queue
from pawline.params.prepare import ImageForm
from tests.cards import CONDITIONS
from tests.conftest import pawline_here, run, set_params
from tests.source import ROOT

OURS, QUEUE_HEAD = HEAD_OF_A_PAGE + "script-src 'none'\">", ",".join(QUEUE_COLUMNS) + "\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which nothing ran, with files of the user's; the command runs in it."""
    root = tmp_path / "a checkout"
    for folder in ("docs", "reports", "pictures/cat"):
        (root / folder).mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy2(ROOT / name, root / name)
    set_params(root, {"ingest.source": "pictures"})
    texts = {
        "dvc.lock": "schema: '2.0'\n",
        "mine.html": "<!doctype html><title>mine</title>",
        "mine.csv": "digest,path\n",
        "mine.json": "{}",
        "committed.html": OURS,
        "added.html": OURS,
        "added.html.dvc": "outs: []\n",
        "reports/report.html": OURS,
        "earlier.html": OURS,
        "queue.csv": QUEUE_HEAD,
        "report.json": '{"findings": [], "headline": {}, "provenance": {}}',
        "empty.html": "",
    }
    for name, text in texts.items():
        (root / name).write_text(text)
    (root / "link.html").symlink_to("params.yaml")
    os.mkfifo(root / "pipe.html")
    run(root, "git", "init", "--quiet")
    run(root, "git", "add", "committed.html")
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("docs", "is a folder, expected a file"),
        ("queue.csv", "is an input of this command"),
        ("docs/../queue.csv", "is an input of this command"),
        ("params.yaml", "belongs to the pipeline"),
        ("dvc.lock", "belongs to the pipeline"),
        ("reports/report.html", "belongs to the pipeline"),
        ("link.html", "belongs to the pipeline"),
        ("data/ingested/cat/new.html", "belongs to the pipeline"),
        ("pictures/cat/new.html", "belongs to the pipeline"),
        ("committed.html", "is tracked by git"),
        ("added.html", "is tracked by DVC"),
        ("mine.html", "is not a page of Pawline's and is not overwritten"),
        ("pipe.html", "is not a page of Pawline's and is not overwritten"),
        ("mine.csv", "is not a page of Pawline's and is not overwritten"),
        ("keep.me", "expected a name that ends in .html"),
        ("nowhere/new.html", "its folder does not exist"),
        ("mine.csv/new.html", "its folder does not exist"),
    ],
)
def test_what_would_cost_the_user_a_file_is_refused_in_one_line(checkout: Path, name: str, problem: str) -> None:
    with pytest.raises(ParamsError) as refused:
        check_out(Path(name), PAGE, inputs=[Path("queue.csv"), Path("no-such-input")])
    assert str(refused.value) == f"{name}: {problem}; name another with --out"


@pytest.mark.parametrize(("kind", "foreign"), [(QUEUE, "mine.csv"), (REPORT_DATA, "mine.json")])
def test_other_kinds_know_their_own(checkout: Path, kind: out_file.Kind, foreign: str) -> None:
    own = {".csv": "queue.csv", ".json": "report.json"}[kind.suffix]
    check_out(Path(own), PAGE, kind)
    with pytest.raises(
        ParamsError, match=f"{foreign}: is not a {kind.noun} of Pawline's.*; name another with --q"
    ):
        check_out(Path(foreign), PAGE, kind, option="--queue")


def test_new_names_earlier_pages_and_empty_files_are_written_to(checkout: Path, tmp_path: Path) -> None:
    for out in (Path("new.html"), Path("earlier.html"), Path("empty.html"), tmp_path / "NEW.HTML"):
        check_out(out, PAGE)
        write_out(out, OURS)
        assert is_page(out)


def test_a_place_of_another_checkout_is_known_from_elsewhere(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match="report.html: belongs to the pipeline"):
        check_out(checkout / "reports/report.html", PAGE)


def test_damaged_params_take_no_protection_away(checkout: Path) -> None:
    (checkout / "params.yaml").write_text("{")
    with pytest.raises(ParamsError, match="report.html: belongs to the pipeline"):
        check_out(Path("reports/report.html"), PAGE)
    check_out(Path("new.html"), PAGE)


def test_a_failed_write_names_the_file_that_the_user_named(checkout: Path) -> None:
    name = Path("n" * 245 + ".html")  # it fits, the temporary name does not
    with pytest.raises(OSError) as failed:
        write_out(name, OURS)
    assert failed.value.filename == str(name) and failed.value.strerror == "File name too long"


def test_every_page_has_the_head_by_which_it_is_known(tmp_path: Path) -> None:
    for name in ("page/base.html", "page/suspects.html", "page/report.html", "walk/walk.html"):
        assert HEAD_OF_A_PAGE in (ROOT / "pawline" / name).read_text(), name
    page = tmp_path / "queue.html"
    page.write_text(render_queue([], ["cat", "dog"], "chosen by hand"))
    assert is_page(page)


@pytest.mark.parametrize(
    "command",
    [
        ["report", "--out"],
        ["suspects", "--out"],
        ["suspects", "--queue", "queue.csv", "--out"],
        ["compare", "one", "another", "--out"],
        ["learning-curve", "--out"],
        ["explain", "cat.jpg", "--out"],
        ["drift", "pictures", "--queue"],
        ["export", "--out"],
    ],
)
def test_every_command_keeps_this_rule(
    checkout: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    (checkout / "cat.jpg").touch()
    before = (checkout / "params.yaml").read_text()
    pawline_here(checkout, *command, "params.yaml", expect=2)
    said = capsys.readouterr().err
    assert re.fullmatch(rf"pawline: params\.yaml: .*; name another with {command[-1]}\n", said)
    assert (checkout / "params.yaml").read_text() == before and not [*checkout.rglob("*.partial")]


def exporting(out: Path, to: str = "onnx", model: str = "none.keras") -> None:
    from argparse import Namespace

    export(Namespace(to=to, out=out, model=Path(model)))


@pytest.mark.parametrize(
    ("out", "to", "problem"),
    [
        ("models", "onnx", "models/model.onnx: belongs to the pipeline"),
        ("mine.csv", "onnx", "mine.csv: is a file, expected a folder"),
        ("nowhere/exports", "onnx", "nowhere/exports: the folder around it does not exist"),
        ("theirs", "onnx", "theirs/model.onnx: is not a model of Pawline's and is not overwritten"),
        ("theirs", "litert", "theirs/card.json: is not a model of Pawline's and is not overwritten"),
        ("theirs", "saved-model", "theirs/saved_model: is not a model of Pawline's and is not overwritten"),
    ],
)
def test_an_export_replaces_no_file_of_the_users(checkout: Path, out: str, to: str, problem: str) -> None:
    (checkout / "theirs/saved_model").mkdir(parents=True)
    (checkout / "theirs/model.onnx").write_bytes(b"their own")
    (checkout / "theirs/card.json").write_text("{}")
    with pytest.raises(ParamsError) as refused:
        exporting(Path(out), to)
    assert str(refused.value) == f"{problem}; name another with --out"
    assert (checkout / "theirs/card.json").read_text() == "{}"


def test_an_export_that_is_judged_unfit_has_its_card_and_may_be_made_again(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its card the next export would take the file for the user's."""
    model, tried = checkout / "docs/model.keras", list[Path]()
    model.write_bytes(b"a model")
    form = ImageForm(image_size=8, color="rgb", aspect="stretch", background=0)
    card = Card(
        digest=file_digest(model), class_names=["cat", "dog"], form=form, network="fast", num_weights=1,
        training_data_digest="0" * 64, decoder="none", conditions=CONDITIONS,
    )  # fmt: skip
    write_card(model, card)

    def unfit(form: str, model: Path, card: Card, to: Path, batches: object) -> None:
        tried.append(to)
        write_bytes(to, b"another answer")
        raise PawlineError("a probability differs")

    monkeypatch.setattr("pawline.cli.export.export_to", unfit)
    for _ in range(2):
        with pytest.raises(PawlineError, match="a probability differs"):
            exporting(checkout / "exports", "litert", str(model))
        assert (checkout / "exports/card.json").read_bytes() == card_path(model).read_bytes()
    assert tried == [checkout / "exports/model.tflite"] * 2
