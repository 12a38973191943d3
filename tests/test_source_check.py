"""What DVC would stop at, wait for or delete is found before DVC starts, and nothing of the user's is lost."""

import hashlib
import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pawline.errors import DatasetError, ParamsError
from pawline.relabel import NO_CLASS, Decision, write_decisions
from pawline.workspace import source_check
from pawline.workspace.foreign_files import note_of_unread
from pawline.workspace.source_check import check_before_repro, check_source, warning_of_moving
from tests.conftest import commit, dvc_here, run, set_params, write_pictures
from tests.source import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with dvc.yaml and params.yaml alone; nothing ran in it."""
    root = tmp_path / "project"
    root.mkdir()
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy2(ROOT / name, root / name)
    (root / "pictures/cat").mkdir(parents=True)
    (root / "pictures/cat/1.jpg").touch()
    set_params(root, {"ingest.source": "pictures"})
    run(root, "git", "init", "--quiet")
    return root


def bind(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


STOPS: dict[str, Callable[[Path], object]] = {
    "its name is not UTF-8": lambda at: open(os.fsencode(at / "caf") + b"\xe9.jpg", "w").close(),  # noqa: PTH123
    "a link whose target is missing": lambda at: (at / "x.jpg").symlink_to("nowhere"),
    "Too many levels of symbolic links": lambda at: (at / "x.jpg").symlink_to("x.jpg"),
    "no regular file": lambda at: os.mkfifo(at / "x.jpg"),
    "no regular file, ": lambda at: bind(at / "x.jpg"),
    "no regular file, and": lambda at: (at / "x.jpg").symlink_to("/dev/zero"),
    "a file of DVC's own": lambda at: (at / ".dvcignore").touch(),
    "a file of DVC's own, ": lambda at: (at / "mine.dvc").touch(),
    "a file of DVC's own, which": lambda at: (at / "dvc.yaml").touch(),
}


@pytest.mark.parametrize("problem", STOPS)
def test_what_stops_dvc_is_named_in_one_line_with_what_to_do(project: Path, problem: str) -> None:
    STOPS[problem](project / "pictures/cat")
    with pytest.raises(DatasetError) as caught:
        check_source(project)
    message = str(caught.value)
    assert problem in message
    assert message.startswith(str(project / "pictures/cat/"))
    assert message.split("; ")[-1].startswith(("rename it", "delete it", "move it out"))
    assert message.isprintable()


@pytest.mark.parametrize("make", [lambda at: (at / "up").symlink_to("."), lambda at: (at / "a\nb.jpg").touch()])
def test_what_dvc_reads_is_let_through(project: Path, make: Callable[[Path], object]) -> None:
    make(project / "pictures/cat")
    assert check_source(project) == "pictures"


def test_a_file_that_goes_away_during_the_look_is_no_problem(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file goes away like half a download, which its program renames at the end."""
    half = project / "pictures/cat/2.jpg.part"
    half.touch()
    is_utf8 = source_check._is_utf8

    def renamed_meanwhile(name: str) -> bool:
        half.unlink(missing_ok=True)
        return is_utf8(name)

    monkeypatch.setattr(source_check, "_is_utf8", renamed_meanwhile)
    assert check_source(project) == "pictures"
    assert not half.exists()


def test_a_fifo_in_a_folder_is_found_in_seconds_by_why_and_the_flow(workspace: Path) -> None:
    os.mkfifo(workspace / "pictures/vertical/pipe.jpg")
    for command in (
        ("pawline", "why"),
        ("python", "-m", "pawline.cli.before_run"),
        ("python", "-m", "flows.training"),
    ):
        start = time.monotonic()
        output = run(workspace, *command, expect=3).stderr
        assert "pictures/vertical/pipe.jpg: no regular file" in output
        assert output.count("\n") == 1
        assert time.monotonic() - start < 60


@pytest.mark.parametrize("source", ["~/pets", "$HOME/pets", "${HOME}/pets"])
def test_shorthand_of_a_shell_is_refused_with_the_path_to_paste(
    project: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    set_params(project, {"ingest.source": source})
    with pytest.raises(ParamsError, match="are for a shell; write /home/me/pets$"):
        check_source(project)


@pytest.mark.parametrize("source", ["$NOWHERE_SET/pets", "~nobody-of-this-name/pets"])
def test_shorthand_that_means_nothing_is_refused(project: Path, source: str) -> None:
    set_params(project, {"ingest.source": source})
    with pytest.raises(ParamsError, match="this one is not set; write the path"):
        check_source(project)


def test_without_git_the_message_says_git_init(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parent))
    shutil.rmtree(project / ".git")
    with pytest.raises(
        ParamsError, match="not a git repository, which DVC needs: `git init`, then the same again"
    ):
        check_source(project)


def test_a_relative_source_is_warned_of_where_it_would_not_be_found(project: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "out side", count=1)
    for source in ("../out side", "pictures"):  # outside; inside, but not in git
        set_params(project, {"ingest.source": source})
        assert f"for them write {(project / source).resolve()}" in warning_of_moving(project)
    run(project, "git", "add", "pictures")
    assert warning_of_moving(project) == ""  # every picture is in git
    (project / "pictures/cat/2.jpg").touch()
    assert "`dvc exp run --temp` and `--queue`" in warning_of_moving(project)  # a part is
    for source in (str(tmp_path / "out side"), "https://example.org/pets.zip"):
        set_params(project, {"ingest.source": source})
        assert warning_of_moving(project) == ""


# What Pawline did not write


def test_pictures_in_data_raw_of_a_fresh_clone_survive_dvc_repro(workspace: Path) -> None:
    write_pictures(workspace / "data/raw", count=3)
    dvc_here(workspace, "repro", "ingest")
    assert len([*(workspace / "data/raw").rglob("*.jpg")]) == 6
    output = run(workspace, "python", "-m", "pawline.cli.before_run").stderr
    assert output.startswith("pawline: note: data/raw holds 6 files that this run does not read")


def test_data_raw_may_be_the_source(workspace: Path) -> None:
    write_pictures(workspace / "data/raw", count=6)
    set_params(workspace, {"ingest.source": "data/raw"})
    dvc_here(workspace, "repro", "ingest")
    assert len([*(workspace / "data/raw").rglob("*.jpg")]) == 12
    assert note_of_unread(workspace, "data/raw") == ""


def test_pictures_among_the_outputs_are_refused_before_they_are_deleted(workspace: Path) -> None:
    dvc_here(workspace, "repro", "ingest")
    check_source(workspace)
    mine = workspace / "data/ingested/vertical/mine.jpg"
    mine.touch()
    set_params(workspace, {"ingest.sha256": None})
    with pytest.raises(DatasetError, match="Pawline did not write this file, and the next run would delete it"):
        check_source(workspace)
    for known in ("data/index.parquet", "dvc.lock"):  # less and less is known of what was written
        (workspace / known).unlink()
        with pytest.raises(DatasetError, match="Pawline did not write this file"):
            check_source(workspace)
    run(workspace, "python", "-m", "flows.training", expect=3)
    assert mine.exists()


def test_a_picture_that_a_decision_leaves_out_is_a_copy_of_pawlines(workspace: Path) -> None:
    """The index has no row for it; yet its bytes in data/ingested are known, also after the decision was taken back."""
    left_out = workspace / "data/ingested/vertical/001.jpg"
    picture = workspace / "pictures/vertical/001.jpg"
    digest = hashlib.sha256(picture.read_bytes()).hexdigest()
    decision = Decision(digest, "vertical/001.jpg", NO_CLASS, "Ada", "2026-11-29")
    write_decisions(workspace / "data/relabel.csv", [decision])
    dvc_here(workspace, "repro", "ingest")
    index = pd.read_parquet(workspace / "data/index.parquet")
    assert left_out.exists() and "vertical/001.jpg" not in set(index["path"])
    check_source(workspace)
    write_decisions(workspace / "data/relabel.csv", [])
    check_source(workspace)  # dvc.lock and DVC's cache still know the bytes
    left_out.write_bytes(b"the user's own, under the same name")
    with pytest.raises(DatasetError, match=r"vertical/001\.jpg: Pawline did not write this file, and"):
        check_source(workspace)


def test_a_left_out_picture_is_known_before_dvc_has_recorded_it(project: Path) -> None:
    """A run that was killed after `ingest` leaves no dvc.lock; the decision alone says whose bytes these are."""
    copy = project / "data/ingested/cat/1.jpg"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"a picture of no class")
    with pytest.raises(DatasetError, match="Pawline did not write this file"):
        check_source(project)
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    write_decisions(project / "data/relabel.csv", [Decision(digest, "cat/1.jpg", "cat", "Ada", "2026-11-29")])
    with pytest.raises(DatasetError, match="Pawline did not write this file"):
        check_source(project)  # of a class: it would have a row
    write_decisions(project / "data/relabel.csv", [Decision(digest, "cat/1.jpg", NO_CLASS, "Ada", "2026-11-29")])
    check_source(project)


@pytest.mark.parametrize("file", ["cat/1.jpg", "1.JPG"])
def test_pictures_among_the_prepared_are_refused_too(project: Path, file: str) -> None:
    mine = project / "data/prepared" / file
    mine.parent.mkdir(parents=True)
    mine.touch()
    with pytest.raises(DatasetError, match="Pawline did not write this file"):
        check_source(project)


def test_a_missing_source_is_refused_before_dvc_removes_the_data_set(workspace: Path) -> None:
    dvc_here(workspace, "repro", "ingest")
    (workspace / "pictures").rename(workspace.parent / "away")
    with pytest.raises(DatasetError, match=r"no such folder or archive.*`dvc repro --allow-missing`$"):
        check_before_repro(workspace)
    assert (workspace / "data/index.parquet").exists()


def test_plain_dvc_trains_on_pulled_data_where_the_docs_say_so(workspace: Path) -> None:
    dvc_here(workspace, "repro", "ingest")
    commit(workspace)
    (workspace / "pictures").rename(workspace.parent / "away")
    output = run(workspace, "dvc", "repro", "--allow-missing", "split").stdout
    assert "Running stage 'split'" in output
    assert (workspace / "data/ingested").exists()
