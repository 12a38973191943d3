"""`pawline verify` reads every byte."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pawline.workspace.lock import Cache, read_lock
from tests.conftest import dvc_answers_here, dvc_here, pawline_here, run


def verify(workspace: Path, expect: int) -> list[str]:
    return pawline_here(workspace, "verify", expect=expect).splitlines()


def test_untouched_outputs_are_all_found_right(finished_workspace: Path) -> None:
    (last,) = verify(finished_workspace, expect=0)
    # 120 pictures; index; table, description, hashes and one shard; quarantine, contact sheet, split, left out;
    # model, card and epochs, exported file and its card, Keras's answers; six metrics; history, predictions, ROC,
    # calibration, thresholds, activations and the report as page and as data.
    assert last == (
        "149 files read, 0 differ from dvc.lock; 140 objects of DVC's cache read, 0 damaged or missing"
    )


def flip_bit(file: Path) -> None:
    """Change one bit; size, time and mode stay."""
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def object_of(path: str) -> Path:
    """The object of an output, or of a file inside one, in DVC's cache of the current folder."""
    with dvc_answers_here():
        cache = Cache()
    for out in read_lock().values():
        if path == out.path:
            return cache.path(out.md5)
        if path.startswith(f"{out.path}/"):
            return cache.path(cache.folder(out.md5)[path.removeprefix(f"{out.path}/")])
    raise KeyError(path)


def mend(workspace: Path) -> str:
    """Paste what `pawline verify` advises into a shell; returns it."""
    lines = verify(workspace, expect=1)
    *commands, last = lines[lines.index("To mend this, paste:") + 1 :]
    run(workspace, "sh", "-c", advice := "\n".join(commands))
    assert last == "pawline verify"
    assert verify(workspace, expect=0)[-1].endswith(
        "files read, 0 differ from dvc.lock; 140 objects of DVC's cache read, 0 damaged or missing"
    )
    return advice


def remove(file: Path) -> None:
    file.unlink()


PICTURE, SHARD, MODEL = "data/ingested/vertical/007.jpg", "data/prepared/images-00000.npy", "models/model.keras"


@pytest.mark.parametrize("path", [PICTURE, SHARD, "data/prepared/table.parquet", MODEL])
def test_one_flipped_bit_is_found_even_where_size_and_time_are_the_same(finished: Path, path: str) -> None:
    flip_bit(finished / path)
    first, second, *_ = verify(finished, expect=1)
    assert first == f"{path}: is not what was recorded"
    assert "1 differ from dvc.lock; 140 objects of DVC's cache read, 0 damaged" in second
    assert "dvc checkout" in mend(finished)


@pytest.mark.parametrize(
    ("path", "harm"), [(PICTURE, flip_bit), (PICTURE, remove), (SHARD, flip_bit), (MODEL, remove)]
)
def test_a_damaged_or_missing_object_of_the_cache_is_copied_from_the_working_tree(
    finished: Path, monkeypatch: pytest.MonkeyPatch, path: str, harm: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(finished)
    harm(object_of(path))
    first, second, *_ = verify(finished, expect=1)
    what = "is not what was recorded" if harm is flip_bit else "is missing"
    assert first.startswith(f"{path}: its object in DVC's cache {what} (.dvc/cache/files/md5/")
    assert "files read, 0 differ from dvc.lock; 140 objects of DVC's cache read, 1 damaged or missing" in second
    assert "cp -f" in mend(finished)
    Path(path).unlink()
    dvc_here(finished, "checkout", path)  # what the cache holds now is right
    verify(finished, expect=0)


@pytest.mark.parametrize(
    ("harm_file", "harm_object"), [(flip_bit, flip_bit), (remove, flip_bit), (flip_bit, remove)]
)
@pytest.mark.parametrize("pushed", [True, False])
def test_what_is_damaged_in_both_places_comes_from_a_remote_or_is_computed_again(
    finished: Path,
    monkeypatch: pytest.MonkeyPatch,
    harm_file: Callable[[Path], None],
    harm_object: Callable[[Path], None],
    pushed: bool,
) -> None:
    monkeypatch.chdir(finished)
    if pushed:
        dvc_here(finished, "push")
        shutil.rmtree("pictures")  # a colleague without the source
    harm_object(object_of(PICTURE))
    harm_file(Path(PICTURE))
    assert "dvc pull data/ingested || dvc repro ingest" in mend(finished)


@pytest.mark.parametrize("content", ["[]x", "[{}]", None])
def test_a_damaged_list_of_a_folder_is_one_line(
    finished: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.chdir(finished)
    damaged = object_of("data/ingested")
    damaged.chmod(0o644)
    damaged.unlink() if content is None else damaged.write_text(content)
    lines = verify(finished, expect=1)
    what = "is missing" if content is None else "is not what was recorded"
    shown = damaged.relative_to(finished)
    assert lines[0] == f"data/ingested: its list of files in DVC's cache {what} ({shown})"
    assert lines[1].startswith("29 files read, 0 differ from dvc.lock;")
    mend(finished)


def test_a_picture_twice_in_the_data_set_restores_the_other(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    shutil.copy(f"pictures/{PICTURE.removeprefix('data/ingested/')}", "pictures/vertical/copy.jpg")
    dvc_here(finished, "repro", "ingest")
    flip_bit(object_of(PICTURE))
    flip_bit(Path(PICTURE))
    advice = mend(finished)
    assert "cp -f -- data/ingested/vertical/copy.jpg" in advice
    assert "dvc repro" not in advice


@pytest.mark.parametrize("with_git", [True, False])
def test_metrics_and_plots_come_back_with_and_without_a_commit(finished: Path, with_git: bool) -> None:
    if not with_git:
        shutil.rmtree(finished / ".git")
        run(finished, "git", "init", "--quiet")
    (finished / "metrics/evaluate.json").unlink()
    (finished / "reports/roc.csv").write_text("other\n")
    advice = mend(finished)
    assert ("git restore" in advice) == with_git
    assert ("dvc repro evaluate" in advice) != with_git


def test_what_was_added_is_moved_away_and_never_deleted(finished: Path) -> None:
    (finished / PICTURE).unlink()
    (finished / PICTURE).mkdir()
    (finished / PICTURE / "mine.jpg").write_bytes(b"mine")
    (finished / "data/ingested/vertical/new picture.jpg").write_bytes(b"new")
    lines = verify(finished, expect=1)
    assert "data/ingested/vertical/new picture.jpg: is not part of the recorded output" in lines
    assert any(line.startswith(f"{PICTURE}: cannot be read: ") for line in lines)
    mend(finished)
    away = finished / ".pawline/moved-away/data/ingested/vertical"
    assert (away / "new picture.jpg").read_bytes() == b"new"
    assert (away / "007.jpg/mine.jpg").read_bytes() == b"mine"


def test_a_dvc_lock_in_conflict_gets_advice_that_works(finished: Path) -> None:
    lock = finished / "dvc.lock"
    whole = lock.read_bytes()
    for git_holds_it in (True, False):
        if not git_holds_it:
            shutil.rmtree(finished / ".git")
            run(finished, "git", "init", "--quiet")
        lock.write_text("<<<<<<< HEAD\n")
        [line] = run(finished, "pawline", "verify", expect=1).stderr.splitlines()
        advice = line.split("`")[1]
        assert advice == ("git checkout dvc.lock" if git_holds_it else "rm dvc.lock && dvc repro")
        run(finished, "sh", "-c", advice)
        assert lock.read_bytes() == whole


def test_in_a_fresh_clone_nothing_is_damaged_but_nothing_is_there(
    finished_workspace: Path, tmp_path: Path
) -> None:
    run(tmp_path, "git", "clone", "--quiet", str(finished_workspace), "clone")
    output = run(tmp_path / "clone", "pawline", "verify", expect=1).stderr
    assert output.startswith("pawline: none of the outputs that dvc.lock records is here yet")
    assert output.count("\n") == 1


def test_before_the_first_run_there_is_nothing_to_verify(workspace: Path) -> None:
    output = run(workspace, "pawline", "verify", expect=1).stderr
    assert output == "pawline: dvc.lock: not there; nothing has been run yet: `dvc repro`\n"
