"""A person's decision about a label is checked, kept in data/relabel.csv, and changes the index, never a file."""

import hashlib
import shutil
from pathlib import Path

import pandas as pd
import pytest

from pawline.cli.relabel import run as relabel
from pawline.errors import DatasetError, ParamsError
from pawline.index import class_names
from pawline.ingest import ingest, summarize
from pawline.label_queue import QUEUE_COLUMNS, read_queue
from pawline.params.ingest import IngestParams
from pawline.relabel import COLUMNS, NO_CLASS, Decision, merge, read_decisions, write_decisions
from pawline.relabelled import num_relabelled
from pawline.workspace.source_changes import changes_by_content, changes_by_path
from tests.conftest import set_params, write_pictures
from tests.source import ROOT

HEADER = ",".join(COLUMNS)


def digest_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def decide(digest: str, label: str, path: str = "", who: str = "Ada", when: str = "2026-11-28") -> Decision:
    return Decision(digest, path, label, who, when)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with three pictures of each class, taken in."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "pictures", count=3)
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    set_params(tmp_path, {"ingest.source": "pictures"})
    take_in()
    return tmp_path


def take_in(*decisions: Decision) -> pd.DataFrame:
    result = ingest(
        IngestParams(source="pictures", sha256=None), Path("data/ingested"), Path("downloads"), decisions
    )
    result.rows.write(Path("data/index.parquet"))
    return pd.read_parquet("data/index.parquet").set_index("path")


def run_relabel(file: Path, who: str = "", add_to: Path | None = None) -> int:
    from argparse import Namespace

    return relabel(Namespace(file=file, who=who, add_to=add_to))


def test_git_holds_the_file_with_its_header_only() -> None:
    assert (ROOT / "data/relabel.csv").read_text() == HEADER + "\n"
    assert read_decisions(ROOT / "data/relabel.csv") == []


def test_a_decision_changes_the_label_in_the_index_and_no_file(data: Path) -> None:
    picture = data / "pictures/vertical/001.jpg"
    table = take_in(decide(digest_of(picture), "horizontal"))
    assert table["class_name"].to_dict() == {
        **{f"horizontal/00{number}.jpg": "horizontal" for number in range(3)},
        **{f"vertical/00{number}.jpg": "vertical" for number in range(3)},
        "vertical/001.jpg": "horizontal",
    }
    assert (data / "data/ingested/vertical/001.jpg").read_bytes() == picture.read_bytes()
    assert class_names(table) == ["horizontal", "vertical"]
    assert table.loc["vertical/001.jpg", "given_class"] == "vertical", "what the source says stays known"
    others = table.drop("vertical/001.jpg")
    assert others["class_name"].equals(others["given_class"].rename("class_name"))


def test_corrected_labels_are_counted_in_the_part_where_they_lie(data: Path) -> None:
    one, another = (digest_of(data / f"pictures/vertical/00{number}.jpg") for number in range(2))
    index = take_in(decide(one, "horizontal"), decide(another, "vertical")).reset_index()
    parts = dict.fromkeys(index["path"], "train") | {"vertical/000.jpg": "test", "vertical/001.jpg": "val"}
    split = pd.DataFrame({"path": list(parts), "split": list(parts.values())})
    assert num_relabelled(index, split) == {"train": 0, "val": 0, "test": 1}
    left_out = split[split["path"] != "vertical/000.jpg"]
    assert num_relabelled(index, left_out) == {"train": 0, "val": 0, "test": 0}
    assert num_relabelled(index.drop(columns="given_class"), split) == {}, "an earlier version wrote this index"


def test_one_decision_settles_a_picture_that_stands_under_two_class_names(data: Path) -> None:
    """Without it, `prepare` leaves out both copies as `conflicting_label`."""
    picture = data / "pictures/vertical/001.jpg"
    shutil.copy(picture, data / "pictures/horizontal/copy.jpg")
    assert take_in().loc[["vertical/001.jpg", "horizontal/copy.jpg"], "class_name"].nunique() == 2
    table = take_in(decide(digest_of(picture), "vertical"))
    assert table.loc[["vertical/001.jpg", "horizontal/copy.jpg"], "class_name"].unique().tolist() == ["vertical"]


def test_what_decisions_did_is_counted_and_said(data: Path) -> None:
    one, another, third = (digest_of(data / f"pictures/vertical/00{number}.jpg") for number in range(3))
    decisions = [
        decide(one, "horizontal"),
        decide(another, "vertical"),  # confirmed
        decide(third, NO_CLASS),
        decide("f" * 64, "horizontal"),
    ]
    source = IngestParams(source="pictures", sha256=None)
    result = ingest(source, Path("data/ingested"), Path("downloads"), decisions)
    figures = summarize(result)
    assert (figures["num_relabelled"], figures["num_removed"], figures["num_decisions_unmatched"]) == (1, 1, 1)
    assert figures["num_files"] == 5
    assert result.understood[-1] == (
        "ingest: data/relabel.csv: 4 decisions: 1 label changed, 1 picture left out; 1 decision about pictures that "
        "this source does not hold"
    )
    found = ingest(source, Path("data/ingested"), Path("downloads"), decisions[:2])
    assert found.understood[-1] == "ingest: data/relabel.csv: 2 decisions: 1 label changed, 0 pictures left out"


def test_without_decisions_the_index_is_the_same_and_nothing_is_said(data: Path) -> None:
    before = (data / "data/index.parquet").read_bytes()
    result = ingest(IngestParams(source="pictures", sha256=None), Path("data/ingested"), Path("downloads"))
    result.rows.write(Path("data/index.parquet"))
    assert (data / "data/index.parquet").read_bytes() == before
    assert not [line for line in result.understood if "relabel" in line]


def test_a_class_that_the_source_lacks_is_refused_only_where_it_matters(data: Path) -> None:
    take_in(decide("f" * 64, "wolf"))
    before = (data / "data/index.parquet").read_bytes()
    with pytest.raises(DatasetError, match=r"vertical/001.jpg shall be 'wolf', which is no class of the source"):
        take_in(decide(digest_of(data / "pictures/vertical/001.jpg"), "wolf"))
    assert (data / "data/index.parquet").read_bytes() == before


def test_a_relabelled_source_counts_as_unchanged(data: Path) -> None:
    """Else the flow that looks for new data would train every night."""
    decisions = [
        decide(digest_of(data / "pictures/vertical/000.jpg"), "horizontal"),
        decide(digest_of(data / "pictures/vertical/001.jpg"), NO_CLASS, "vertical/001.jpg"),
    ]
    write_decisions(Path("data/relabel.csv"), decisions)
    take_in(*decisions)
    changes = changes_by_content(IngestParams(source="pictures", sha256=None), data)
    assert (changes.num_new, changes.changed) == (0, False)
    by_path = changes_by_path(data / "pictures", data / "data/index.parquet", None)
    assert by_path is not None and vars(by_path) == {"new": 0, "changed": 0, "removed": 0}


def test_decisions_are_merged_and_the_newer_one_counts(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, another = (digest_of(data / f"pictures/vertical/00{number}.jpg") for number in range(2))
    write_decisions(Path("data/relabel.csv"), [decide(one, "horizontal", "b"), decide(another, NO_CLASS, "a")])
    file = data / "decisions.csv"
    file.write_text(f"digest,label\n{one.upper()},vertical\n{another},{NO_CLASS}\n{'e' * 64},horizontal\n")
    assert run_relabel(file, who="Bo") == 0
    said = capsys.readouterr().out
    assert "1 new decision, 1 changed, 1 known before; 1 without a picture in data/index.parquet" in said
    assert "next: `git add data/relabel.csv`, then `dvc repro`" in said
    kept = {found.digest: (found.label, found.who) for found in read_decisions(Path("data/relabel.csv"))}
    assert kept == {one: ("vertical", "Bo"), another: (NO_CLASS, "Ada"), "e" * 64: ("horizontal", "Bo")}


def test_the_same_decisions_again_change_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_decisions(Path("data/relabel.csv"), [decide("a" * 64, "vertical")])
    before = Path("data/relabel.csv").read_bytes()
    assert run_relabel(Path("data/relabel.csv")) == 0
    assert Path("data/relabel.csv").read_bytes() == before
    assert "next:" not in capsys.readouterr().out


def test_merged_decisions_stand_in_the_order_of_paths() -> None:
    merged = merge([decide("b" * 64, "x", "2")], [decide("a" * 64, "x", "1"), decide("b" * 64, "y", "2")])
    assert [found.path for found in merged.decisions] == ["1", "2"]
    assert (merged.num_new, merged.num_changed, merged.num_known) == (1, 1, 0)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            f"{HEADER}\n{'a' * 64},1.jpg,wolf,,\n",
            "label 'wolf' is no class of the data; expected horizontal, vertical",
        ),
        ("path;digest;label\n1;2;3\n", "no column digest and no column label; expected CSV in UTF-8"),
        ("", "no column digest and no column label"),
        ('{"digest": 1}', "no column digest"),
        (b"\xff\xfe\x00digest", "expected CSV in UTF-8"),
        (f"{HEADER}\nabc,1.jpg,vertical,,\n", "line 2: digest is 'abc', expected the 64 hex digits"),
        (f"{HEADER}\n{'a' * 64},1.jpg,,,\n", "line 2: no label; expected a class, or (none)"),
        (f"{HEADER}\n{'a' * 64},1,2.jpg,vertical,,\n", "line 2: not as many values as the header has columns"),
        (f"{HEADER}\n{'a' * 64}\n", "line 2: not as many values as the header has columns"),
        (
            f"digest,label\n{'a' * 64},vertical\n{'a' * 64},horizontal\n",
            "decided twice, as vertical and as horizontal; keep one",
        ),
    ],
)
def test_another_format_costs_one_line_and_writes_nothing(
    data: Path, content: str | bytes, complaint: str
) -> None:
    file = data / "decisions.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DatasetError) as caught:
        run_relabel(file)
    assert complaint in str(caught.value) and str(file) in str(caught.value) and "\n" not in str(caught.value)
    assert not Path("data/relabel.csv").exists()


def test_a_file_that_is_not_there_or_no_file_is_named(data: Path) -> None:
    with pytest.raises(ParamsError, match=r"nowhere\.csv: no such file; give the file that the page"):
        run_relabel(Path("nowhere.csv"))
    with pytest.raises(ParamsError, match="pictures: a folder, expected a file; give the file"):
        run_relabel(Path("pictures"))


def test_without_an_index_the_next_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_decisions(Path("one.csv"), [decide("a" * 64, "cat")])
    with pytest.raises(DatasetError, match="make it with `dvc repro ingest`"):
        run_relabel(Path("one.csv"))


def test_names_with_commas_quotes_and_line_breaks_survive(tmp_path: Path) -> None:
    hostile = decide("a" * 64, 'a "cat", or\nnot', "b,\r\nc.jpg")
    write_decisions(tmp_path / "one.csv", [hostile])
    assert read_decisions(tmp_path / "one.csv") == [hostile]


def test_a_file_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_bytes(f"\ufeffdigest,label\r\n{'a' * 64},cat\r\n".encode())
    assert [found.label for found in read_decisions(tmp_path / "one.csv")] == ["cat"]


@pytest.fixture
def new(data: Path) -> Path:
    """Two pictures that the data does not hold, and decisions about them and about one that it holds."""
    write_pictures(data / "new", count=1, first=500)
    first, second = (data / f"new/{name}/500.jpg" for name in ("horizontal", "vertical"))
    held = digest_of(data / "pictures/vertical/000.jpg")
    write_decisions(
        data / "decisions.csv",
        [
            decide(digest_of(first), "vertical", "new/horizontal/500.jpg"),
            decide(digest_of(second), NO_CLASS, "new/vertical/500.jpg"),
            decide(held, "horizontal", "vertical/000.jpg"),
        ],
    )
    return data / "decisions.csv"


def test_decided_pictures_that_the_data_lacks_are_added_and_learned_with_their_label(
    new: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_relabel(new, add_to=Path("pictures")) == 0
    assert "pictures: 1 picture added (vertical 1), 0 there before;" in capsys.readouterr().out
    digest = digest_of(Path("new/horizontal/500.jpg"))
    assert digest_of(Path(f"pictures/vertical/{digest[:16]}.jpg")) == digest
    table = take_in(*read_decisions(Path("data/relabel.csv")))
    assert table.loc[f"vertical/{digest[:16]}.jpg", "class_name"] == "vertical"
    assert table.loc["vertical/000.jpg", "class_name"] == "horizontal"
    assert len(table) == 7, "the picture of no class was not added"
    assert run_relabel(new, add_to=Path("pictures")) == 0
    assert "0 pictures added, 0 there before" in capsys.readouterr().out, "the data holds it by now"


def test_a_changed_or_lost_picture_is_refused_before_any_is_copied(new: Path) -> None:
    Path("new/horizontal/500.jpg").write_bytes(b"another")
    with pytest.raises(
        DatasetError, match=r"new/horizontal/500\.jpg: its bytes have changed since the page was made; expected"
    ):
        run_relabel(new, add_to=Path("drop"))
    Path("new/horizontal/500.jpg").unlink()
    with pytest.raises(
        DatasetError, match=r"new/horizontal/500\.jpg: No such file or directory; expected the picture"
    ):
        run_relabel(new, add_to=Path("drop"))
    assert not Path("drop").exists() and not Path("data/relabel.csv").exists()


def test_without_a_folder_the_way_to_learn_from_them_is_named(
    new: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_relabel(new) == 0
    said = capsys.readouterr().out
    assert "1 without a picture in data/index.parquet, and 1 (none), which it leaves out" in said
    assert f"to learn from those pictures too: `pawline relabel {new} --add-to FOLDER`" in said


def test_a_picture_of_no_class_is_not_missed_and_nothing_is_advised(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An earlier `ingest` left it out of the index, so the index does not know it."""
    left_out = decide(digest_of(data / "pictures/vertical/000.jpg"), NO_CLASS, "vertical/000.jpg")
    write_decisions(data / "decisions.csv", [left_out])
    take_in(left_out)
    assert run_relabel(data / "decisions.csv") == 0
    said = capsys.readouterr().out
    assert "; 0 without a picture in data/index.parquet, and 1 (none), which it leaves out\n" in said
    assert "--add-to" not in said


def test_who_decided_is_asked_for_where_nobody_says_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_decisions(data / "decisions.csv", [decide("a" * 64, "vertical", who=""), decide("b" * 64, "vertical")])
    assert run_relabel(data / "decisions.csv") == 0
    assert capsys.readouterr().err == "pawline: note: 1 decision without a name; `--who NAME` says who decided\n"


def test_a_file_without_a_decision_is_called_so(data: Path) -> None:
    write_decisions(data / "decisions.csv", [])
    with pytest.raises(DatasetError, match=r"decisions\.csv: holds no decision; decide on the page of"):
        run_relabel(data / "decisions.csv")
    assert not Path("data/relabel.csv").exists()


@pytest.mark.parametrize(
    ("folder", "problem"),
    [
        ("pictures/vertical", "has the name of a class, .*; name the folder around it, pictures$"),
        ("new place/vertical", "has the name of a class, .*; name the folder around it, new place$"),
        ("data/ingested", "the next run would delete what it did not write there; name another$"),
        ("decisions.csv", "is a file, expected a folder; name another$"),
    ],
)
def test_a_folder_in_which_no_folder_of_a_class_belongs_is_refused(new: Path, folder: str, problem: str) -> None:
    with pytest.raises(ParamsError, match=f"^--add-to {folder}: {problem}"):
        run_relabel(new, add_to=Path(folder))
    assert not Path("data/relabel.csv").exists() and not Path("new place").exists()
    assert not [*Path("data/ingested").rglob("[0-9a-f]" * 16 + ".jpg")]


@pytest.mark.parametrize(
    ("source", "folder", "use"),
    [
        ("pictures", "pictures", "training uses them: they lie in ingest.source"),
        ("pictures", "elsewhere", "training does not use them: ingest.source is pictures; copy them into it"),
        (
            "pictures",
            "pictures/deeper",
            "training uses them only where ingest.source, pictures, has its folders of classes there",
        ),
        (
            "pictures.zip",
            "pictures",
            "training does not use them: ingest.source is pictures.zip, no folder; make a",
        ),
        ("https://me:secret@host/a.zip", "pictures", "does not use them: ingest.source is https://host/a.zip, no"),
    ],
)
def test_whether_added_pictures_are_learned_from_is_said(
    new: Path, capsys: pytest.CaptureFixture[str], source: str, folder: str, use: str
) -> None:
    set_params(Path(), {"ingest.source": source})
    assert run_relabel(new, add_to=Path(folder)) == 0
    said = capsys.readouterr().out
    assert f"{folder}: 1 picture added (vertical 1), 0 there before; " in said and use in said
    assert "secret" not in said


def test_a_damaged_queue_costs_one_line(tmp_path: Path) -> None:
    header = ",".join(QUEUE_COLUMNS)
    for content, found in (
        ("path\na.jpg\n", "no column digest"),
        ("seed: 1\n", "no column digest"),
        (f"{header}\na,b,c,d,e,f\n", "line 2: probability is 'd', expected a number"),
        (f"{header}\na,b\n", "line 2: probability is '', expected a number"),
    ):
        (tmp_path / "queue.csv").write_text(content)
        with pytest.raises(DatasetError, match=f"queue.csv: {found}; expected CSV with the columns digest,path"):
            read_queue(tmp_path / "queue.csv")
    with pytest.raises(DatasetError, match="No such file or directory; expected CSV"):
        read_queue(tmp_path / "none.csv")
