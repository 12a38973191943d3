"""A table of path,label: the pictures stay in their place, and the table gives their classes."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pawline.errors import DatasetError, ParamsError
from pawline.ingest import ingest
from pawline.params.ingest import IngestParams, TableParams
from tests.conftest import dvc_here
from tests.sample_sources import (
    PICTURE,
    TWO_CLASSES,
    content,
    folder_of,
    ingest_table,
    paths,
    refusal,
    tar_of,
    zip_of,
)

FILES = {"images/1.jpg": PICTURE, "images/2.jpg": b"two", "3.jpg": b"three"}


def table_of(folder: Path, rows: list[tuple[object, object]], name: str = "my.csv") -> Path:
    table = pd.DataFrame(rows, columns=["path", "label"])
    if name.endswith(".parquet"):
        table.to_parquet(folder / name)
    else:
        table.to_csv(folder / name, index=False)
    return folder / name


def ingest_with(source: Path, tmp_path: Path, **columns: str) -> pd.DataFrame:
    """The index of a source whose table's columns are named in params."""
    params = IngestParams(source=str(source), sha256=None, table=TableParams(**columns))
    return ingest(params, tmp_path / "raw", tmp_path / "downloads").rows.table()


def csv_beside(tmp_path: Path, text: str, name: str = "my.csv", encoding: str = "utf-8") -> Path:
    return folder_of(tmp_path / "source", FILES | {name: text.encode(encoding)}) / name


CAT_AND_DOG = ["cat/images/1.jpg", "dog/3.jpg"]


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
        f"{source}: row 2: path {path!r} leads out of the table's folder, and no file below has its name; write a "
        "path relative to that folder"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no column for the picture's file, found none; the first line must name the columns"),
        ("1.jpg,cat\n2.jpg,dog\n", "no column for the picture's file, found '1.jpg', 'cat'; the first line must"),
        (
            "path\n3.jpg\n",
            "no column 'label', found no other column; set ingest.table.label to the class's column",
        ),
        ("path,a,b\n3.jpg,cat,x\n", "no column 'label', found one of 'a', 'b'; set ingest.table.label to the"),
        ("path,class,breed\n3.jpg,cat,x\n", "'class', 'breed' may each be the label; set ingest.table.label to"),
        (
            "file,filename,label\n3.jpg,3,cat\n",
            "'file', 'filename' may each be the path; set ingest.table.path to",
        ),
        ("path,label,label\n3.jpg,cat,dog\n", "two columns are called 'label'; rename one of them"),
        (
            "path,label\n3.jpg,cat,dog\n",
            "row 1 has 3 fields and the first line 2; put quotes around a field with ','",
        ),
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
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    table_of(source, [("cat/1.jpg", "a"), ("dog/1.jpg", "b")], "other.csv")
    assert paths(ingest_table(source, tmp_path)) == ["cat/1.jpg", "dog/1.jpg"]


def test_dvc_detects_a_changed_picture_beside_its_table(workspace: Path) -> None:
    rows = [(f"{name}/{seed:03}.jpg", name[:4]) for name in ("horizontal", "vertical") for seed in range(3)]
    table_of(workspace / "pictures", [*rows], "labels.csv")
    dvc_here(workspace, "repro", "--single-item", "ingest")
    assert len([*(workspace / "data/ingested").rglob("*.jpg")]) == 6
    with (workspace / "pictures/vertical/002.jpg").open("ab") as file:
        file.write(b"more")
    assert "pictures" in dvc_here(workspace, "status", "ingest")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_of_any_program_is_read(tmp_path: Path, separator: str, encoding: str) -> None:
    """Excel writes semicolons in most of Europe, and its "Unicode text" is UTF-16 with tabs."""
    text = "path,label,weight\r\nimages/1.jpg,cat,1\r\n3.jpg,dog,2\r\n\r\n".replace(",", separator)
    assert paths(ingest_table(csv_beside(tmp_path, text, encoding=encoding), tmp_path)) == CAT_AND_DOG


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "sep=;\npath;label\nimages/1.jpg;cat\n3.jpg;dog\n"),
        ("a.tsv", "path\tlabel\nimages/1.jpg\tcat\n3.jpg\tdog\n"),
        ("a.csv", "path;label;;\nimages/1.jpg;cat;;\n3.jpg;dog;;\n"),
        ("a.csv", '"path";"note, long";"label"\n"images/1.jpg";"a;b";"cat"\n"3.jpg";;"dog"\n'),
    ],
)
def test_the_separator_is_found_whatever_stands_in_the_fields(tmp_path: Path, name: str, text: str) -> None:
    assert paths(ingest_table(csv_beside(tmp_path, text, name), tmp_path)) == CAT_AND_DOG


@pytest.mark.parametrize(
    ("header", "understood"),
    [
        ("file_name,label,x", "picture from column 'file_name', class from 'label'; not used: 'x'"),
        ("Image Path,Species,x", "picture from column 'Image Path', class from 'Species'; not used: 'x'"),
        ("filename,category,id", "picture from column 'filename', class from 'category'; not used: 'id'"),
        ("image,class,width", "picture from column 'image', class from 'class'; not used: 'width'"),
        ("img,labels,age", "picture from column 'img', class from 'labels'; not used: 'age'"),
        ("image_id,dx,age", "picture from column 'image_id', class from 'dx'; not used: 'age'"),
        (
            "path,label,patient_id",
            "picture from column 'path', class from 'label'; not used: 'patient_id' (set ingest.table.group to "
            "'patient_id' to keep its pictures in one part)",
        ),
    ],
)
def test_columns_are_guessed_by_name_and_the_guess_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], header: str, understood: str
) -> None:
    source = csv_beside(tmp_path, f"{header}\nimages/1.jpg,cat,1\n3.jpg,dog,2\n")
    assert paths(ingest_table(source, tmp_path)) == CAT_AND_DOG
    assert capsys.readouterr().err == f"pawline: {source}: {understood}\n"


def test_the_last_column_left_is_the_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = csv_beside(tmp_path, "flavour,file\ncat,images/1.jpg\ndog,3.jpg\n")
    assert paths(ingest_table(source, tmp_path)) == CAT_AND_DOG
    assert capsys.readouterr().err == f"pawline: {source}: picture from column 'file', class from 'flavour'\n"


def test_nothing_is_said_of_a_table_in_the_documented_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest_table(csv_beside(tmp_path, "path,label\nimages/1.jpg,cat\n3.jpg,dog\n"), tmp_path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("split", ["train", "val", "test"]),
        ("Split", ["training", "VALID", "testing"]),
        ("subset", ["train", "validation", "test"]),
        ("partition", ["train", "valid", "test"]),
        ("set", ["Train", "Val", "Test"]),
    ],
)
@pytest.mark.parametrize("name", ["my.csv", "my.parquet"])
def test_a_column_of_parts_gives_the_parts(tmp_path: Path, column: str, values: list[str], name: str) -> None:
    source = folder_of(tmp_path / "source", FILES) / name
    table = pd.DataFrame({"path": [*FILES], "label": ["cat", "dog", "dog"], column: values})
    table.to_csv(source, index=False) if name == "my.csv" else table.to_parquet(source)
    index = ingest_table(source, tmp_path).set_index("path")["given_part"]
    assert index.to_dict() == {"cat/images/1.jpg": "train", "dog/images/2.jpg": "val", "dog/3.jpg": "test"}


def test_fastais_column_marks_the_validation_pictures(tmp_path: Path) -> None:
    source = csv_beside(tmp_path, "name,label,is_valid\nimages/1.jpg,cat,False\n3.jpg,dog,True\n")
    assert list(ingest_table(source, tmp_path)["given_part"]) == ["train", "val"]


def test_a_column_that_may_be_something_else_is_no_part(tmp_path: Path) -> None:
    source = csv_beside(tmp_path, "path,label,part\nimages/1.jpg,cat,paw\n3.jpg,dog,train\n")
    assert set(ingest_table(source, tmp_path)["given_part"]) == {""}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "path,label,split\n3.jpg,cat,fold1\n",
            "row 1: split is 'fold1', expected train, val or test; correct it, or",
        ),
        ("path,label,split\n3.jpg,cat,\n", "row 1: split is '', expected train, val or test; correct it, or set"),
        (
            "path,label,split\n3.jpg,cat,test\n",
            "its parts are test, but 'train' is missing; add pictures of train",
        ),
        (
            "path,label,split,subset\n3.jpg,cat,test,train\n",
            "'split', 'subset' may each be the part (train, val, test); set ingest.table.part to the right one",
        ),
    ],
)
def test_parts_that_cannot_be_used_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    source = csv_beside(tmp_path, text)
    assert refusal(source, tmp_path).startswith(f"{source}: {problem}")


def test_params_name_columns_that_cannot_be_guessed(tmp_path: Path) -> None:
    text = "who;where;what;when\nanna;images/1.jpg;cat;train\nben;3.jpg;dog;test\n"
    columns = {"path": "where", "label": "what", "part": "when", "group": "who"}
    index = ingest_with(csv_beside(tmp_path, text), tmp_path, **columns)
    assert index[["path", "given_part", "given_group"]].to_numpy().tolist() == [
        ["cat/images/1.jpg", "train", "anna"],
        ["dog/3.jpg", "test", "ben"],
    ]


def test_params_turn_a_column_of_parts_off(tmp_path: Path) -> None:
    source = csv_beside(tmp_path, "path,label,split\nimages/1.jpg,cat,0\n3.jpg,dog,1\n")
    assert set(ingest_with(source, tmp_path, part="none")["given_part"]) == {""}


def test_a_column_of_the_params_that_is_missing_is_refused(tmp_path: Path) -> None:
    source = csv_beside(tmp_path, "id,breed\n1,cat\n")
    with pytest.raises(ParamsError) as refused:
        ingest_with(source, tmp_path, label="bred")
    assert str(refused.value) == (
        f"ingest.table.label is 'bred', but {source} has no such column; it has 'id', 'breed'"
    )
    with pytest.raises(ParamsError) as refused:
        ingest_with(folder_of(tmp_path / "classes", TWO_CLASSES), tmp_path, group="patient")
    assert str(refused.value) == (
        f"ingest.table.group is 'patient', but {tmp_path}/classes has no table; call it labels.csv and put it beside "
        "the pictures, or leave the section ingest.table empty"
    )


def test_a_table_and_folders_that_disagree_are_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES | {"labels.csv": b"file,breed\ncat/1.jpg,pug\n"})
    assert refusal(source, tmp_path) == (
        f"{source}/labels.csv: the table and the class folders disagree: 'cat/1.jpg' is 'pug' in the table; set "
        "ingest.table.label to 'breed' to use the table, or set ingest.table.path to 'none' to use the folders"
    )
    assert paths(ingest_with(source, tmp_path, path="none")) == ["cat/1.jpg", "dog/1.jpg"]
    with pytest.raises(DatasetError, match="found 1 class folder"):
        ingest_with(source, tmp_path, label="breed")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("file,text\ncat/1.jpg,a cat\n", "no column is sure to hold classes; the folders give them"),
        ("file,class\ncat/1.jpg,cat\n", "gives no other classes than the folders, and is not used"),
    ],
)
def test_a_table_that_adds_nothing_to_the_folders_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, note: str
) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES | {"metadata.csv": text.encode()})
    assert paths(ingest_table(source, tmp_path)) == ["cat/1.jpg", "dog/1.jpg"]
    assert capsys.readouterr().err == f"pawline: {source}/metadata.csv: {note}\n"


ROBOFLOW = {
    "train/_classes.csv": b"filename, Pug, Beagle\na.jpg, 1, 0\nb.jpg, 0, 1\n",
    "train/a.jpg": b"a",
    "train/b.jpg": b"b",
    "valid/_classes.csv": b"filename, Pug, Beagle\nc.jpg, 0, 1\n",
    "valid/c.jpg": b"c",
    "test/_classes.csv": b"filename, Pug, Beagle\nd.jpg, 1, 0\n",
    "test/d.jpg": b"d",
}
ROBOFLOW_ROWS = [
    ["Beagle/train/b.jpg", "train"],
    ["Beagle/valid/c.jpg", "val"],
    ["Pug/test/d.jpg", "test"],
    ["Pug/train/a.jpg", "train"],
]
IMAGE_FOLDER = {
    "train/metadata.csv": b"file_name,label\nx/a.jpg,cat\n",
    "train/x/a.jpg": b"a",
    "test/metadata.csv": b"file_name,label\nb.jpg,dog\n",
    "test/b.jpg": b"b",
    "README.md": b"words",
}
IMAGE_FOLDER_IN_JSON = {
    "train/metadata.jsonl": b'{"file_name": "a.jpg", "label": "cat"}\n{"file_name": "b.jpg", "label": "dog"}\n\n',
    "train/a.jpg": b"a",
    "train/b.jpg": b"b",
}
# Kaggle's: ids without ending, the pictures in a folder beside, and others without a label.
DOG_BREEDS = {
    "labels.csv": b"id,breed\n000bec,pug\n001513,dingo\n",
    "sample_submission.csv": b"id,dingo,pug\nffff,0.5,0.5\n",
    "train/000bec.jpg": b"a",
    "train/001513.jpg": b"b",
    "test/ffff.jpg": b"c",
}
CIFAR = {
    "trainLabels.csv": b"id,label\n1,frog\n2,truck\n",
    "sampleSubmission.csv": b"id,label\n1,cat\n2,cat\n",
    "train/1.png": b"a",
    "train/2.png": b"b",
    "test/1.png": b"c",
    "test/2.png": b"d",
}
CASSAVA = {
    "train.csv": b"image_id,label\n1.jpg,0\n2.jpg,3\n",
    "test.csv": b"image_id\n3.jpg\n",
    "sample_submission.csv": b"image_id,label\n3.jpg,4\n",
    "train_images/1.jpg": b"a",
    "train_images/2.jpg": b"b",
    "test_images/3.jpg": b"c",
}
TABLE_FOR_EACH_PART = {
    "train.csv": b"image;class\n1.jpg;cat\n2.jpg;dog\n",
    "val.csv": b"image;class\n3.jpg;dog\n",
    "images/1.jpg": b"a",
    "images/2.jpg": b"b",
    "images/3.jpg": b"c",
}
SOURCES: dict[str, tuple[dict[str, bytes], list[list[str]]]] = {
    "roboflow": (ROBOFLOW, ROBOFLOW_ROWS),
    "image folder": (IMAGE_FOLDER, [["cat/train/x/a.jpg", "train"], ["dog/test/b.jpg", "test"]]),
    "image folder in json": (IMAGE_FOLDER_IN_JSON, [["cat/train/a.jpg", ""], ["dog/train/b.jpg", ""]]),
    "dog breeds": (DOG_BREEDS, [["dingo/train/001513.jpg", ""], ["pug/train/000bec.jpg", ""]]),
    "cifar": (CIFAR, [["frog/train/1.png", ""], ["truck/train/2.png", ""]]),
    "cassava": (CASSAVA, [["0/train_images/1.jpg", ""], ["3/train_images/2.jpg", ""]]),
    "parts": (
        TABLE_FOR_EACH_PART,
        [["cat/images/1.jpg", "train"], ["dog/images/2.jpg", "train"], ["dog/images/3.jpg", "val"]],
    ),
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("form", ["folder", "zip", "tar.gz"])
def test_a_data_set_as_it_is_handed_out_is_understood(tmp_path: Path, name: str, form: str) -> None:
    files, rows = SOURCES[name]
    source = tmp_path / f"set.{form}"
    {"folder": folder_of, "zip": zip_of, "tar.gz": tar_of}[form](source, files)
    index = ingest_table(source, tmp_path)
    assert index[["path", "given_part"]].to_numpy().tolist() == rows
    assert {*index["problem"]} == {""}
    assert content(tmp_path / "raw") == {path: files[path.split("/", 1)[1]] for path, _ in rows}


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_a_table_in_an_archive_may_be_wrapped_in_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    files = {f"dogs/{path}": data for path, data in DOG_BREEDS.items()}
    source = (zip_of if form == "zip" else tar_of)(tmp_path / f"dogs.{form}", files)
    assert paths(ingest_table(source, tmp_path)) == ["dingo/dogs/train/001513.jpg", "pug/dogs/train/000bec.jpg"]
    assert capsys.readouterr().err.splitlines() == [
        f"pawline: {source}: dogs/labels.csv: picture from column 'id', class from 'breed'",
        f"pawline: {source}: dogs/labels.csv: 2 pictures found by their name without folder or ending",
        f"pawline: {source}: 1 pictures have no row in the table and are passed over",
    ]


def test_a_table_in_an_archive_of_class_folders_is_refused_where_they_disagree(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES | {"labels.csv": b"path,label\ncat/1.jpg,pug\n"})
    assert refusal(source, tmp_path).startswith(
        f"{source}: labels.csv: the table and the class folders disagree: "
    )


def test_a_row_without_its_file_in_the_archive_has_a_problem(tmp_path: Path) -> None:
    files = {"labels.csv": b"path,label\n1.jpg,cat\n1.jpg,dog\n2.jpg,dog\n", "1.jpg": b"a"}
    index = ingest_table(zip_of(tmp_path / "a.zip", files), tmp_path)
    assert index[["path", "problem"]].to_numpy().tolist() == [
        ["cat/1.jpg", ""],
        ["dog/1.jpg", ""],
        ["dog/2.jpg", "listed in the table, but not in the archive"],
    ]


def test_a_name_that_two_pictures_have_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {"a/1.jpg": b"a", "b/1.png": b"b", "my.csv": b"id,breed\n1,pug\n"})
    assert refusal(source / "my.csv", tmp_path) == (
        f"{source}/my.csv: row 1: '1' may be 'a/1.jpg' or 'b/1.png'; write the folder into the table's column too"
    )


def test_ids_with_dots_and_folders_find_their_pictures(tmp_path: Path) -> None:
    files = {"img/x.1.jpg": b"a", "img/y.JPG": b"b", "img/x.1.json": b"c", "y.txt": b"d", "old/y.jpg": b"e"}
    source = folder_of(tmp_path / "source", files | {"my.csv": b"id,breed\nx.1,pug\nIMG/y.jpg,dingo\n"})
    assert paths(ingest_table(source / "my.csv", tmp_path)) == ["dingo/img/y.JPG", "pug/img/x.1.jpg"]


@pytest.mark.parametrize("values", [("1", "0"), ("1.0", "0.0"), ("True", "False")])
def test_the_class_is_the_column_with_the_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: tuple[str, str]
) -> None:
    yes, no = values
    source = csv_beside(tmp_path, f"image,cat,dog\nimages/1.jpg,{yes},{no}\n3.jpg,{no},{yes}\n")
    assert paths(ingest_table(source, tmp_path)) == CAT_AND_DOG
    assert "class from the 1 in 'cat', 'dog'" in capsys.readouterr().err


def test_a_picture_of_two_classes_or_none_is_refused(tmp_path: Path) -> None:
    source = csv_beside(tmp_path, "image,cat,dog\nimages/1.jpg,1,1\n3.jpg,0,1\n")
    assert refusal(source, tmp_path) == (
        f"{source}: row 1: 'images/1.jpg' has 2 classes ('cat', 'dog'), and a picture can have one; leave the row out"
    )
    source = csv_beside(tmp_path, "image,cat,dog\nimages/1.jpg,0,0\n3.jpg,0,1\n")
    assert refusal(source, tmp_path).startswith(f"{source}: row 1: 'images/1.jpg' has no label; add a label")


def hub_table(
    path: Path, rows: list[tuple[bytes | None, str | None, int]], names: list[str] | None = None
) -> Path:
    """A Parquet file as on the Hugging Face Hub: the bytes in a struct, the class as a number with names."""
    images = [{"bytes": data, "path": name} for data, name, _ in rows]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = pa.array([label for *_, label in rows], pa.int64())
    table = pa.table({"image": pa.array(images, kind), "label": labels})
    if names:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=2)
    return path


NAMES = ["cat", "dog"]


def test_a_parquet_table_may_hold_the_pictures_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(b"a", "x/1.jpg", 1), (PICTURE, "x/1.jpg", 0), (b"c", None, 0), (None, "4.jpg", 1)]
    source = hub_table(tmp_path / "train.parquet", rows, NAMES)
    index = ingest_table(source, tmp_path)
    assert index[["path", "given_part", "problem"]].to_numpy().tolist() == [
        ["cat/train/000002-1.jpg", "", ""],
        ["cat/train/000003", "", ""],
        ["dog/train/000001-1.jpg", "", ""],
        ["dog/train/000004-4.jpg", "", "the table has no bytes in this row"],
    ]
    assert content(tmp_path / "raw") == {
        "cat/train/000002-1.jpg": PICTURE,
        "cat/train/000003": b"c",
        "dog/train/000001-1.jpg": b"a",
    }
    understood = "picture from column 'image', class from 'label'"
    assert capsys.readouterr().err == f"pawline: {source}: {understood}\n"


def test_labels_without_names_are_numbers(tmp_path: Path) -> None:
    source = hub_table(tmp_path / "a.parquet", [(b"a", None, 7), (b"b", None, 3)])
    assert paths(ingest_table(source, tmp_path)) == ["3/a/000002", "7/a/000001"]


def test_a_column_of_plain_bytes_holds_pictures_too(tmp_path: Path) -> None:
    source = tmp_path / "a.parquet"
    pq.write_table(pa.table({"label": ["cat", "dog"], "img": [b"a", b"b"], "split": ["train", "test"]}), source)
    index = ingest_table(source, tmp_path)
    assert index[["path", "given_part"]].to_numpy().tolist() == [
        ["cat/a/000001", "train"],
        ["dog/a/000002", "test"],
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/validation-0.parquet"],
        ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "validation-0.parquet"],
        ["default/train/0000.parquet", "default/train/0001.parquet", "default/validation/0000.parquet"],
    ],
)
@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
def test_the_parts_of_a_hub_data_set_are_kept(tmp_path: Path, names: list[str], form: str) -> None:
    folder = folder_of(tmp_path / "hub", {"README.md": b"words"})
    for number, name in enumerate(names):
        hub_table(folder / name, [(b"cat %d" % number, None, 0), (b"dog %d" % number, None, 1)], NAMES)
    files = content(folder)
    source = folder if form == "folder" else {"zip": zip_of, "tar": tar_of}[form](tmp_path / f"a.{form}", files)
    index = ingest_table(source, tmp_path)
    assert index.groupby(["class_name", "given_part"]).size().to_dict() == {
        **{("cat", "train"): 2, ("cat", "val"): 1},
        **{("dog", "train"): 2, ("dog", "val"): 1},
    }
    written = {path: data.decode() for path, data in content(tmp_path / "raw").items()}
    assert sorted(written.values()) == [f"{name} {number}" for name in NAMES for number in range(3)]
    assert all(path.split("/")[0] == data.split()[0] for path, data in written.items())


def test_pictures_of_test_whose_classes_are_secret_are_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "hub"
    hub_table(folder / "train-0.parquet", [(b"a", None, 0), (b"b", None, 1)], NAMES)
    hub_table(folder / "test-0.parquet", [(b"c", None, -1), (b"d", None, -1)], NAMES)
    assert paths(ingest_table(folder, tmp_path)) == ["cat/train-0/000001", "dog/train-0/000002"]
    note = f"pawline: {folder}/test-0.parquet: 2 pictures of test have no label and are passed over"
    assert note in capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("text", ['{"path": "3.jpg"', "[1]\n", '"words"\n'])
def test_lines_that_are_no_json_objects_are_refused(tmp_path: Path, text: str) -> None:
    source = csv_beside(tmp_path, text, name="my.jsonl")
    assert refusal(source, tmp_path).startswith(f"{source}: cannot be read as a table: ")
