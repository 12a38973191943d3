"""A table of path,label: the pictures stay in their place, and the table gives their classes."""

from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import run
from tests.sample_sources import PICTURE, TWO_CLASSES, content, folder_of, ingest_table, paths, refusal

FILES = {"images/1.jpg": PICTURE, "images/2.jpg": b"two", "3.jpg": b"three"}


def table_of(folder: Path, rows: list[tuple[object, object]], name: str = "my.csv") -> Path:
    table = pd.DataFrame(rows, columns=["path", "label"])
    if name.endswith(".parquet"):
        table.to_parquet(folder / name)
    else:
        table.to_csv(folder / name, index=False)
    return folder / name


@pytest.mark.parametrize("name", ["my.csv", "my.parquet", "My.CSV"])
def test_a_table_lists_the_pictures_and_their_classes(tmp_path: Path, name: str) -> None:
    rows = [("images/1.jpg", "cat"), ("images/2.jpg", "dog"), ("./3.jpg", "cat")]
    source = table_of(folder_of(tmp_path / "source", FILES | {"images/not listed.jpg": b"x"}), rows, name)
    index = ingest_table(source, tmp_path)
    assert index[["path", "class_name"]].to_numpy().tolist() == [
        ["cat/3.jpg", "cat"],
        ["cat/images/1.jpg", "cat"],
        ["dog/images/2.jpg", "dog"],
    ]
    assert content(tmp_path / "raw") == {
        "cat/3.jpg": b"three",
        "cat/images/1.jpg": PICTURE,
        "dog/images/2.jpg": b"two",
    }


def test_a_table_may_have_more_columns_in_any_order(tmp_path: Path) -> None:
    """Excel writes a byte order mark, and the line ends and backslashes of Windows."""
    text = '\ufefflabel,width, path\r\n cat ,40,images\\1.jpg\r\n"dog",40,"3.jpg"\r\n'
    source = folder_of(tmp_path / "source", FILES | {"a.csv": text.encode()})
    assert paths(ingest_table(source / "a.csv", tmp_path)) == ["cat/images/1.jpg", "dog/3.jpg"]


def test_labels_that_are_numbers_are_class_names_too(tmp_path: Path) -> None:
    source = table_of(folder_of(tmp_path / "source", FILES), [("images/1.jpg", 0), ("3.jpg", 1)], "a.parquet")
    assert list(ingest_table(source, tmp_path)["class_name"]) == ["0", "1"]


def test_labels_named_like_parts_are_classes(tmp_path: Path) -> None:
    rows = [("images/1.jpg", "train"), ("3.jpg", "test")]
    index = ingest_table(table_of(folder_of(tmp_path / "source", FILES), rows), tmp_path)
    assert list(index["class_name"]) == ["test", "train"]
    assert set(index["given_part"]) == {""}


def test_a_listed_file_that_is_missing_or_outside_is_a_row_with_a_problem(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", FILES)
    (source / "away").symlink_to(folder_of(tmp_path / "elsewhere", {"4.jpg": b"secret"}))
    (source / "there").symlink_to("images")
    rows = [("images/1.jpg", "cat"), ("9.jpg", "dog"), ("away/4.jpg", "dog"), ("there/2.jpg", "dog")]
    rows += [("images", "cat"), ("away", "cat"), ("no/such/folder.jpg", "cat")]
    index = ingest_table(table_of(source, [*rows]), tmp_path).set_index("path")
    assert index["problem"].to_dict() == {
        "cat/away": "a link out of the source",
        "cat/images": "a folder, not a file",
        "cat/images/1.jpg": "",
        "cat/no/such/folder.jpg": "No such file or directory",
        "dog/9.jpg": "No such file or directory",
        "dog/away/4.jpg": "a link out of the source",
        "dog/there/2.jpg": "",
    }


def test_a_path_with_a_control_character_is_refused(tmp_path: Path) -> None:
    source = table_of(folder_of(tmp_path / "source", FILES), [("3.jpg", "cat"), ("a\0b.jpg", "dog")], "my.parquet")
    assert refusal(source, tmp_path).startswith(f"{source}: row 2: path 'a\\x00b.jpg' has a control character")


@pytest.mark.parametrize("path", ["../secret.jpg", "images/../../secret.jpg", "/etc/passwd", "C:\\secret.jpg"])
@pytest.mark.parametrize("name", ["my.csv", "my.parquet"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, path: str, name: str) -> None:
    source = table_of(folder_of(tmp_path / "source", FILES), [("3.jpg", "cat"), (path, "dog")], name)
    assert refusal(source, tmp_path) == (
        f"{source}: row 2: path {path!r} leads out of the table's folder; write a path relative to that folder"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no column 'path'; expected 'path' and 'label', found none"),
        ("file;label\n", "no column 'path'; expected 'path' and 'label', found 'file;label'"),
        ("path,class\n1.jpg,cat\n", "no column 'label'; expected 'path' and 'label', found 'path', 'class'"),
        ("path,label\n3.jpg,cat\n3.jpg\n", "row 2: '3.jpg' has no label; add a label, or leave the row out"),
        ("path,label\n3.jpg, \n", "row 1: '3.jpg' has no label; add a label, or leave the row out"),
        ("path,label\n,cat\n", "row 1: the path is empty"),
        (
            "path,label\n3.jpg,a/b\n",
            "row 1: label 'a/b' cannot be a class name, since no folder can have that name",
        ),
        ("path,label\n3.jpg,..\n", "row 1: label '..' cannot be a class name, since no folder can have that name"),
        ("path,label\n3.jpg,cat\n./3.jpg,cat\n", "lists '3.jpg' as 'cat' twice; leave one of the rows out"),
        ("path,label\n", "found no class folder with files in it, need at least 2; put each class in a folder"),
        ("path,label\n3.jpg,cat\n", "found 1 class folder ('cat'), need at least 2"),
    ],
)
def test_an_incomplete_table_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    source = folder_of(tmp_path / "source", FILES | {"a.csv": text.encode()}) / "a.csv"
    assert refusal(source, tmp_path).startswith(f"{source}: {problem}")


def test_a_file_that_is_not_a_table_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {"a.csv": "path,label\nä,ö".encode("latin-1"), "a.parquet": b"words"})
    assert refusal(source / "a.csv", tmp_path) == f"{source}/a.csv: not UTF-8; save it as CSV in UTF-8"
    assert refusal(source / "a.parquet", tmp_path).startswith(f"{source}/a.parquet: cannot be read as a table: ")


def test_a_picture_with_two_labels_is_ingested_twice(tmp_path: Path) -> None:
    rows = [("3.jpg", "cat"), ("3.jpg", "dog")]
    index = ingest_table(table_of(folder_of(tmp_path / "source", FILES), [*rows]), tmp_path)
    assert index["digest"].nunique() == 1
    assert paths(index) == ["cat/3.jpg", "dog/3.jpg"]


@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet"])
def test_a_folder_with_a_labels_table_is_read_through_the_table(tmp_path: Path, name: str) -> None:
    source = folder_of(tmp_path / "source", FILES)
    table_of(source, [("images/1.jpg", "cat"), ("3.jpg", "dog")], name)
    assert paths(ingest_table(source, tmp_path)) == ["cat/images/1.jpg", "dog/3.jpg"]


def test_any_other_table_beside_the_classes_is_ignored(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES | {"labels.csv": b"id,breed\n1,pug\n"})
    table_of(source, [("cat/1.jpg", "a"), ("dog/1.jpg", "b")], "other.csv")
    assert paths(ingest_table(source, tmp_path)) == ["cat/1.jpg", "dog/1.jpg"]


def test_dvc_detects_a_changed_picture_beside_its_table(workspace: Path) -> None:
    rows = [(f"{name}/{seed:03}.jpg", name[:4]) for name in ("horizontal", "vertical") for seed in range(3)]
    table_of(workspace / "pictures", [*rows], "labels.csv")
    run(workspace, "dvc", "repro", "--single-item", "ingest")
    assert len([*(workspace / "data/ingested").rglob("*.jpg")]) == 6
    with (workspace / "pictures/vertical/002.jpg").open("ab") as file:
        file.write(b"more")
    assert "pictures" in run(workspace, "dvc", "status", "ingest").stdout
