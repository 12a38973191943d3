"""A dvc.lock that was cut off while DVC wrote it is put back as it was before."""

from pathlib import Path

import pytest

from flows.kept_lock import keep_lock, mend_lock

WHOLE = (
    "schema: '2.0'\nstages:\n  split:\n    cmd: python -m tasks.split\n    outs:\n    - path: data/split.parquet\n"
)


@pytest.mark.parametrize("left", ["", "sche", "schema: '2.0'\nstages:\n  split:\n", "schema: '2.0\n", "\0\0"])
def test_a_lock_that_was_cut_off_is_put_back(tmp_path: Path, left: str) -> None:
    (tmp_path / "dvc.lock").write_text(WHOLE)
    keep_lock(tmp_path)
    (tmp_path / "dvc.lock").write_text(left)
    mend_lock(tmp_path)
    assert (tmp_path / "dvc.lock").read_text() == WHOLE


def test_a_whole_lock_stays(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(WHOLE)
    keep_lock(tmp_path)
    later = WHOLE.replace("split", "train")
    (tmp_path / "dvc.lock").write_text(later)
    mend_lock(tmp_path)
    assert (tmp_path / "dvc.lock").read_text() == later


def test_where_there_was_none_an_empty_one_goes(tmp_path: Path) -> None:
    keep_lock(tmp_path)
    mend_lock(tmp_path)
    assert not (tmp_path / "dvc.lock").exists()
    (tmp_path / "dvc.lock").touch()
    mend_lock(tmp_path)
    assert not (tmp_path / "dvc.lock").exists()


def test_what_nobody_kept_is_left_to_its_owner(tmp_path: Path) -> None:
    """Merge conflicts, say, are not for us to decide."""
    keep_lock(tmp_path)
    (tmp_path / "dvc.lock").write_text("<<<<<<< HEAD\n")
    mend_lock(tmp_path)
    assert (tmp_path / "dvc.lock").read_text() == "<<<<<<< HEAD\n"
