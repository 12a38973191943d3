"""Sources are ingested byte for byte, or refused in one line with nothing written."""

import hashlib
import io
import json
import os
import socket
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pawline.errors import DatasetError, ParamsError
from pawline.ingest import ingest, summarize
from pawline.params.ingest import IngestParams
from tests.conftest import encode, run, set_params, stripes, write_pictures
from tests.sample_sources import (
    PICTURE,
    TWO_CLASSES,
    content,
    folder_of,
    ingest_source,
    ingest_table,
    paths,
    refusal,
    tar_of,
    truncate,
    zip_of,
)
from tests.source import ROOT

# Sources that are ingested


def test_bytes_arrive_unchanged_with_one_row_each(tmp_path: Path) -> None:
    files = {"cat/1.jpg": PICTURE, "cat/2.jpg": b"", "dog/a b\nç.png": encode(stripes(False, 2, 31, 17), ".png")}
    index = ingest_table(folder_of(tmp_path / "source", files), tmp_path)
    assert content(tmp_path / "raw") == files
    assert index.to_dict("records") == [
        {
            "path": path,
            "class_name": path[:3],
            "digest": hashlib.sha256(files[path]).hexdigest(),
            "bytes": len(files[path]),
            "format": form,
            "width": width,
            "height": height,
            "animated": False,
            "given_part": "",
            "given_group": "",
            "given_class": path[:3],
            "problem": "",
        }
        for path, form, width, height in [
            ("cat/1.jpg", "JPEG", 40, 30),
            ("cat/2.jpg", "", 0, 0),
            ("dog/a b\nç.png", "PNG", 31, 17),
        ]
    ]


def test_the_index_marks_animated_files(tmp_path: Path) -> None:
    frames = io.BytesIO()
    still, *more = [Image.new("L", (8, 8), level) for level in (0, 100, 200)]
    still.save(frames, "GIF", save_all=True, append_images=more)
    files = {"cat/1.jpg": PICTURE, "cat/2.gif": frames.getvalue(), "dog/3.jpg": PICTURE, "dog/4.gif": b"GIF89a"}
    index = ingest_table(folder_of(tmp_path / "source", files), tmp_path)
    assert list(index["path"][index["animated"]]) == ["cat/2.gif"]


def test_the_source_is_not_changed(tmp_path: Path) -> None:
    source = write_pictures(tmp_path / "source", 3)
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    ingest_table(source, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before


def test_a_generated_set_is_drawn_from_its_yaml_file(tmp_path: Path) -> None:
    source = tmp_path / "set.yaml"
    source.write_text("seed: 1\nnum_images_per_class: 20\nmin_side: 64\nmax_side: 80\nplanted_faults: false\n")
    index = ingest_table(source, tmp_path)
    assert index["class_name"].value_counts().to_dict() == {"cat": 20, "dog": 20}
    assert index["width"].between(64, 80).all()


def test_a_second_ingest_replaces_the_first(tmp_path: Path) -> None:
    ingest_table(folder_of(tmp_path / "one", TWO_CLASSES | {"cat/old.jpg": PICTURE}), tmp_path)
    ingest_table(folder_of(tmp_path / "two", TWO_CLASSES), tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_litter_and_hidden_folders_are_neither_images_nor_errors(tmp_path: Path) -> None:
    litter = [
        "Thumbs.db",
        "cat/Thumbs.db",
        "cat/.DS_Store",
        "dog/desktop.ini",
        "dog/._1.jpg",
        ".git/config",
        "cat/.hidden/2.jpg",
        "__MACOSX/cat/1.jpg",
    ]
    files = TWO_CLASSES | dict.fromkeys(litter, b"litter")
    for source in (folder_of(tmp_path / "source", files), zip_of(tmp_path / "a.zip", files)):
        assert paths(ingest_table(source, tmp_path)) == ["cat/1.jpg", "dog/1.jpg"]
        assert content(tmp_path / "raw") == TWO_CLASSES


@pytest.mark.parametrize(
    "extra",
    [
        [],
        ["readme.txt"],
        ["PetImages/readme.txt"],
        ["PetImages/LICENSE", "PetImages/labels.csv", "licence.pdf"],
    ],
)
def test_wrapper_folders_and_a_readme_are_not_classes(tmp_path: Path, extra: list[str]) -> None:
    files = {f"PetImages/{path}": data for path, data in TWO_CLASSES.items()} | dict.fromkeys(extra, b"words")
    assert paths(ingest_table(folder_of(tmp_path / "source", files), tmp_path)) == ["cat/1.jpg", "dog/1.jpg"]


def test_nested_folders_belong_to_their_class(tmp_path: Path) -> None:
    files = TWO_CLASSES | {"cat/young/2.jpg": PICTURE, "cat/young/tiny/3.jpg": PICTURE, "dog/old/2.jpg": PICTURE}
    index = ingest_table(folder_of(tmp_path / "source", files), tmp_path)
    assert index.groupby("class_name")["path"].apply(list).to_dict() == {
        "cat": ["cat/1.jpg", "cat/young/2.jpg", "cat/young/tiny/3.jpg"],
        "dog": ["dog/1.jpg", "dog/old/2.jpg"],
    }


@pytest.mark.parametrize("wrapper", ["", "cats_and_dogs_filtered/"])
@pytest.mark.parametrize(
    ("folder", "part"),
    [("val", "val"), ("valid", "val"), ("validation", "val"), ("test", "test"), ("Test", "test")],
)
def test_ready_made_parts_are_respected(tmp_path: Path, wrapper: str, folder: str, part: str) -> None:
    files = {f"{wrapper}{outer}/{path}": PICTURE for outer in ("train", folder) for path in TWO_CLASSES}
    files[f"{wrapper}vectorize.py"] = b"print()"
    index = ingest_table(folder_of(tmp_path / "source", files), tmp_path)
    expected = {("train", "cat"), ("train", "dog"), (part, "cat"), (part, "dog")}
    assert set(zip(index["given_part"], index["class_name"], strict=True)) == expected
    assert len(index) == 4


@pytest.mark.parametrize("wrapper", ["", "dogs-vs-cats/"])
@pytest.mark.parametrize("test_name", ["test", "test1", "Testing"])
def test_a_test_folder_without_classes_is_left_out_and_counted(
    tmp_path: Path, wrapper: str, test_name: str
) -> None:
    """Competitions ship such test folders. Split then takes the test part from the labelled folders."""
    files = {f"{wrapper}train/{path}": PICTURE for path in TWO_CLASSES}
    files |= {f"{wrapper}{test_name}/{number}.jpg": PICTURE for number in range(3)} | {f"{wrapper}a.csv": b"x"}
    result = ingest_source(folder_of(tmp_path / "source", files), tmp_path)
    assert result.rows.table()[["path", "given_part"]].to_numpy().tolist() == [
        ["cat/1.jpg", ""],
        ["dog/1.jpg", ""],
    ]
    assert (result.num_unlabelled, result.num_beside_classes) == (3, 1)


def test_a_val_beside_an_unlabelled_test_stays_val(tmp_path: Path) -> None:
    files = {f"{part}/{path}": PICTURE for part in ("train", "val") for path in TWO_CLASSES}
    result = ingest_source(folder_of(tmp_path / "source", files | {"test/1.jpg": PICTURE}), tmp_path)
    assert list(result.rows.table()["given_part"]) == ["train", "train", "val", "val"]
    assert result.num_unlabelled == 1


def test_train_and_test_without_class_folders_are_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", dict.fromkeys(["train/cat.0.jpg", "test1/1.jpg"], PICTURE))
    message = refusal(source, tmp_path)
    assert "looks ready-split (test1, train), but 'test1' has no class folders in it" in message
    assert message.endswith("where names hold the classes, make a table of path,label")


def test_a_single_train_folder_is_a_wrapper_or_one_class_among_others(tmp_path: Path) -> None:
    lone = folder_of(tmp_path / "lone", {f"train/{path}": PICTURE for path in TWO_CLASSES})
    assert set(ingest_table(lone, tmp_path)["given_part"]) == {""}
    vehicles = folder_of(tmp_path / "vehicles", dict.fromkeys(["train/1.jpg", "bus/1.jpg", "car/1.jpg"], PICTURE))
    assert set(ingest_table(vehicles, tmp_path)["class_name"]) == {"bus", "car", "train"}


def test_classes_are_sorted_and_counted(tmp_path: Path) -> None:
    files = {f"{name}/{n}.jpg": PICTURE for n, name in enumerate(["zebra", "ant", "Bee", "ant"])}
    metrics = summarize(ingest_source(folder_of(tmp_path / "source", files), tmp_path))
    assert metrics == {
        "num_files": 4,
        "num_bytes": 4 * len(PICTURE),
        "num_classes": 3,
        "num_files_per_class": {"ant": 2, "Bee": 1, "zebra": 1},
        "num_unreadable": 0,
        "num_unlabelled": 0,
        "num_beside_classes": 0,
        "num_not_pictures": 0,
        "num_relabelled": 0,
        "num_removed": 0,
        "num_decisions_unmatched": 0,
    }


# A file that cannot be read is a row with a problem, and the other files are ingested


def test_a_special_file_is_a_row_with_a_problem_and_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    os.mkfifo(source / "cat/pipe.jpg")
    (source / "cat/nowhere.jpg").symlink_to("missing.jpg")
    (source / "cat/round.jpg").symlink_to("round.jpg")
    (source / "dog/device.jpg").symlink_to("/dev/zero")
    monkeypatch.chdir(source / "dog")  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jpg")
        result = ingest_source(source, tmp_path)
    index = result.rows.table().set_index("path")
    assert index["problem"].to_dict() == {
        "cat/1.jpg": "",
        "cat/nowhere.jpg": "No such file or directory",
        "cat/pipe.jpg": "not a regular file",
        "cat/round.jpg": "Too many levels of symbolic links",
        "dog/1.jpg": "",
        "dog/device.jpg": "a link out of the source",
        "dog/socket.jpg": "No such device or address",
    }
    assert set(index["digest"][index["problem"] != ""]) == {""}
    assert content(tmp_path / "raw") == TWO_CLASSES
    assert summarize(result)["num_unreadable"] == 5


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skipping the folder silently would make the data set smaller unnoticed."""
    source = folder_of(tmp_path / "source", TWO_CLASSES | {"cat/secret/2.jpg": PICTURE})
    real_scandir = os.scandir

    def scandir(path: str) -> object:
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return real_scandir(path)

    monkeypatch.setattr("os.scandir", scandir)
    assert refusal(source, tmp_path) == f"{source}/cat/secret: the folder cannot be listed: Permission denied"


def test_only_links_inside_the_source_are_read(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "source-too").mkdir()
    (source / "cat/copy.jpg").symlink_to("../dog/1.jpg")
    (source / "cat/out.jpg").symlink_to("../../secret.jpg")
    (source / "cat/away.jpg").symlink_to(tmp_path / "secret.jpg")
    (source / "dog/beside").symlink_to("../../source-too")
    (source / "dog/round").symlink_to(source)
    index = ingest_table(source, tmp_path).set_index("path")
    assert index["problem"].to_dict() == {
        "cat/1.jpg": "",
        "cat/away.jpg": "a link out of the source",
        "cat/copy.jpg": "",
        "cat/out.jpg": "a link out of the source",
        "dog/1.jpg": "",
        "dog/beside": "a link out of the source",
        "dog/round": "a linked folder, which is not entered",
    }
    assert content(tmp_path / "raw") == TWO_CLASSES | {"cat/copy.jpg": PICTURE}


def test_a_source_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder_of(tmp_path / "source", TWO_CLASSES))
    assert set(ingest_table(tmp_path / "link", tmp_path)["problem"]) == {""}


def test_a_linked_class_folder_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    (source / "bird").symlink_to(folder_of(tmp_path / "birds", {"1.jpg": PICTURE}))
    assert refusal(source, tmp_path).startswith("bird: a linked folder, which is not entered, where a class is")


def test_a_file_too_large_for_memory_is_a_row_with_a_problem(tmp_path: Path) -> None:
    """A video would fill the memory. This file has a size, but no blocks on the disk."""
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    with (source / "dog/film.jpg").open("wb") as file:
        file.truncate(513 * 2**20)
    assert ingest_table(source, tmp_path).set_index("path")["problem"]["dog/film.jpg"] == "larger than 512 MB"
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_names_that_tables_cannot_hold_are_rows_with_a_problem(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    (source / os.fsdecode(b"cat/caf\xe9.jpg")).write_bytes(PICTURE)
    archive = tar_of(tmp_path / "a.tar", {**TWO_CLASSES, os.fsdecode(b"cat/caf\xe9.jpg"): PICTURE})
    for index in (ingest_table(source, tmp_path), ingest_table(archive, tmp_path)):
        assert index.set_index("path")["problem"]["cat/caf\\xe9.jpg"] == ""
        index.to_parquet(tmp_path / "index.parquet")
        assert content(tmp_path / "raw") == {**TWO_CLASSES, "cat/caf\\xe9.jpg": PICTURE}


# Sources that are refused


def test_a_missing_source_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing", tmp_path) == (
        f"{tmp_path}/nothing: no such folder or archive; set ingest.source in params.yaml"
    )


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("'{folder}/pictures'", "write it without the quotes or spaces around it: {folder}/pictures"),
        (" {folder}/pictures", "write it without the quotes or spaces around it: {folder}/pictures"),
        ("{folder}/Pictures", "did you mean {folder}/pictures?"),
        ("{folder}/picture", "did you mean {folder}/pictures?"),
        ("{folder}/*.jpg", "name the folder itself, without *"),
        ("C:\\Users\\me\\pictures", "this is a path of Windows: in WSL it is /mnt/c/Users/me/pictures"),
    ],
)
def test_a_source_that_is_nearly_right_is_named(tmp_path: Path, source: str, meant: str) -> None:
    folder_of(tmp_path / "pictures", TWO_CLASSES)
    given = IngestParams(source=source.format(folder=tmp_path), sha256=None)
    with pytest.raises(DatasetError) as refused:
        ingest(given, tmp_path / "raw", tmp_path / "downloads")
    assert str(refused.value).endswith(
        f"no such folder or archive; set ingest.source in params.yaml; {meant.format(folder=tmp_path)}"
    )


def test_a_pipe_as_source_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no such folder or archive" in refusal(tmp_path / "pipe", tmp_path)


@pytest.mark.parametrize("empty", [{}, {".DS_Store": b"x"}, {"readme.txt": b"x"}, {".git/config": b"x"}])
def test_a_folder_without_classes_is_refused(tmp_path: Path, empty: dict[str, bytes]) -> None:
    (tmp_path / "source").mkdir()
    assert refusal(folder_of(tmp_path / "source", empty), tmp_path) == (
        f"{tmp_path}/source: found no class folder with files in it, need at least 2; "
        + (
            "no file is called like a picture; put each class in a folder of its own: <class>/*.jpg"
            if "readme.txt" in empty
            else "it holds no file; name the folder or archive that holds the pictures"
        )
    )


@pytest.mark.parametrize("files", [{"cat/1.jpg": b""}, {"cat/1.jpg": b"", "cat/old/2.jpg": b""}, {"cat/1": b""}])
def test_a_single_class_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    source = folder_of(tmp_path / "source", files)
    assert "found 1 class folder ('cat'), need at least 2" in refusal(source, tmp_path)


def test_a_single_class_in_ready_made_parts_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {"train/cat/1.jpg": PICTURE, "test/cat/1.jpg": PICTURE})
    assert "found 1 class folder ('cat')" in refusal(source, tmp_path)


@pytest.mark.parametrize(
    ("folders", "problem"),
    [
        (["train", "test", "docs"], "(test, train), but the folder 'docs' beside them is not one of these parts"),
        (["val", "test"], "(test, val), but 'train' is missing"),
    ],
)
def test_incomplete_ready_made_parts_are_refused(tmp_path: Path, folders: list[str], problem: str) -> None:
    files = {f"{folder}/{path}": PICTURE for folder in folders for path in TWO_CLASSES}
    assert f"looks ready-split {problem}" in refusal(folder_of(tmp_path / "source", files), tmp_path)


def test_the_digest_of_an_archive_is_checked_before_it_is_opened(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert len(ingest_table(source, tmp_path, digest.upper())) == 2
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/words.zip").write_bytes(b"no archive at all")
    message = refusal(tmp_path / "inner/words.zip", tmp_path / "inner", digest)
    assert hashlib.sha256(b"no archive at all").hexdigest() in message
    assert f"but ingest.sha256 says {digest}; the file is damaged or not the expected one" in message


def test_a_digest_for_a_folder_is_a_params_error(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    with pytest.raises(ParamsError, match=r"ingest.sha256 is for a single file, but .*/source is a folder"):
        ingest_table(source, tmp_path, "0" * 64)


def test_a_wrong_key_of_a_generated_set_is_named(tmp_path: Path) -> None:
    (tmp_path / "set.yaml").write_text("sed: 1\n")
    with pytest.raises(ParamsError, match=r"set.yaml: unknown key 'sed'; did you mean 'seed'\?"):
        ingest_table(tmp_path / "set.yaml", tmp_path)


# As a process


def workspace_with(tmp_path: Path, source: str) -> Path:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    set_params(tmp_path, {"ingest.source": source})
    return tmp_path


def test_the_stage_writes_raw_index_and_metrics(tmp_path: Path) -> None:
    folder_of(tmp_path / "source", TWO_CLASSES)
    result = run(workspace_with(tmp_path, "source"), "python", "-m", "tasks.ingest")
    assert (result.stdout, result.stderr) == (
        "",
        "pawline: ingest: 2 files in 2 classes (prepare checks them): cat 1, dog 1\n",
    )
    assert content(tmp_path / "data/ingested") == TWO_CLASSES
    assert paths(pd.read_parquet(tmp_path / "data/index.parquet")) == ["cat/1.jpg", "dog/1.jpg"]
    assert json.loads((tmp_path / "metrics/ingest.json").read_text())["num_files"] == 2


def test_bad_data_gives_exit_code_3_one_line_and_no_files(tmp_path: Path) -> None:
    truncate(tar_of(tmp_path / "a.tar.gz", TWO_CLASSES), 0.5)
    result = run(workspace_with(tmp_path, "a.tar.gz"), "python", "-m", "tasks.ingest", expect=3)
    assert result.stderr == (
        "pawline: a.tar.gz: the archive is damaged: "
        "Compressed file ended before the end-of-stream marker was reached; get it again\n"
    )
    assert result.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "params.yaml"]
