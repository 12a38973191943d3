"""A dvc.lock that was cut off while DVC wrote it is put back as it was before."""

from pathlib import Path

import pytest

from flows.kept_lock import keep_lock, mend_lock

WHOLE = """\
schema: '2.0'
stages:
  split:
    cmd: python -m tasks.split
    deps:
    - path: data/prepared
      hash: md5
      md5: 7027afb08ef73ed3c6602b8187c0b2cc.dir
      size: 8674
      nfiles: 4
    params:
      params.yaml:
        split:
          seed: 1
    outs:
    - path: data/split.parquet
      hash: md5
      md5: 56a3a7ded100af2c0e9db67300ed0e27
      size: 1114
    - path: data/left_out.parquet
      hash: md5
      md5: 49dd9c1c48da955ad09cf2ccfe2c86d6
      size: 3231
  train:
    cmd: python -m tasks.train
    outs:
    - path: models/model.keras
      hash: md5
      md5: 5a1bb9291f5486c428649b5c6a8fcafe
      size: 3041
"""
# Where DVC reads what is left: it misses an output or a stage, and runs it again or has it in its cache.
COMPLETE = {WHOLE.index("    - path: data/left_out"), WHOLE.index("  train:"), len(WHOLE)}


def test_a_lock_that_was_cut_off_anywhere_is_put_back(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(WHOLE)
    keep_lock(tmp_path)
    left_alone = set()
    for cut in range(len(WHOLE) + 1):
        (tmp_path / "dvc.lock").write_text(WHOLE[:cut])
        mend_lock(tmp_path)
        found = (tmp_path / "dvc.lock").read_text()
        left_alone |= {cut} if found == WHOLE[:cut] else set()
        assert found in (WHOLE, WHOLE[:cut])
    assert left_alone == COMPLETE


@pytest.mark.parametrize("left", ["\0\0", "schema: '2.0'\nstages: 3\n", "- 1\n"])
def test_what_is_no_lock_at_all_is_replaced_too(tmp_path: Path, left: str) -> None:
    (tmp_path / "dvc.lock").write_text(WHOLE)
    keep_lock(tmp_path)
    (tmp_path / "dvc.lock").write_text(left)
    mend_lock(tmp_path)
    assert (tmp_path / "dvc.lock").read_text() == WHOLE


def test_a_whole_lock_stays(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(WHOLE)
    keep_lock(tmp_path)
    later = WHOLE.replace("size: 1114", "size: 1115")
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
