"""A dvc.lock that was cut off while DVC wrote it is put back as it was before."""

import fcntl
from functools import cache
from pathlib import Path

import pytest

from pawline.workspace import dag, lock
from pawline.workspace.kept_lock import keep_lock, mend_lock

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
SIZES = {"data/split.parquet": 1114, "data/left_out.parquet": 3231, "models/model.keras": 3041}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    for path, size in SIZES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(bytes(size))
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  split:\n    outs: [a]\n  train:\n    metrics: [b]\n  register: {}\n"
    )
    return tmp_path


def test_a_lock_that_was_cut_off_anywhere_is_put_back(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "parse_yaml", cache(lock.parse_yaml))  # each text three times otherwise
    monkeypatch.setattr(dag, "read_yaml", cache(dag.read_yaml))
    (workspace / "dvc.lock").write_text(WHOLE)
    keep_lock(workspace)
    left_alone = set()
    for cut in range(len(WHOLE) + 1):
        (workspace / "dvc.lock").write_text(WHOLE[:cut])
        mend_lock(workspace)
        found = (workspace / "dvc.lock").read_text()
        left_alone |= {cut} if found == WHOLE[:cut] else set()
        assert found in (WHOLE, WHOLE[:cut])
    whole = {WHOLE[:cut].rstrip() for cut in COMPLETE}  # with or without the last line break
    assert left_alone == {cut for cut in range(len(WHOLE) + 1) if WHOLE[:cut].rstrip() in whole}


@pytest.mark.parametrize("end", ["", "\r\n", "\n\n", "\n# a remark"])
@pytest.mark.parametrize("outputs", ["here", "not restored yet"])
def test_whole_entries_decide_and_not_the_last_line_break(workspace: Path, end: str, outputs: str) -> None:
    """An editor or a merge may take the line break away."""
    (workspace / "dvc.lock").write_text(WHOLE)
    keep_lock(workspace)
    if outputs != "here":
        (workspace / "models/model.keras").unlink()
    later = WHOLE.replace("seed: 1", "seed: 2").removesuffix("\n") + end
    (workspace / "dvc.lock").write_text(later)
    mend_lock(workspace)
    assert (workspace / "dvc.lock").read_text() == later.replace("\r\n", "\n")


@pytest.mark.parametrize("left", ["\0\0", "schema: '2.0'\nstages: 3\n", "- 1\n"])
def test_a_file_that_is_no_lock_is_replaced(workspace: Path, left: str) -> None:
    (workspace / "dvc.lock").write_text(WHOLE)
    keep_lock(workspace)
    (workspace / "dvc.lock").write_text(left)
    mend_lock(workspace)
    assert (workspace / "dvc.lock").read_text() == WHOLE


def test_a_whole_lock_stays(workspace: Path) -> None:
    (workspace / "dvc.lock").write_text(WHOLE)
    keep_lock(workspace)
    later = WHOLE.replace("size: 1114", "size: 1115")
    (workspace / "dvc.lock").write_text(later)
    mend_lock(workspace)
    assert (workspace / "dvc.lock").read_text() == later


def test_an_empty_lock_is_deleted_where_none_was_kept(workspace: Path) -> None:
    keep_lock(workspace)
    mend_lock(workspace)
    assert not (workspace / "dvc.lock").exists()
    (workspace / "dvc.lock").touch()
    mend_lock(workspace)
    assert not (workspace / "dvc.lock").exists()


def test_a_lock_in_conflict_is_left_alone(workspace: Path) -> None:
    """Merge conflicts are not for us to decide."""
    (workspace / "dvc.lock").write_text(WHOLE)
    keep_lock(workspace)
    conflict = f"<<<<<<< HEAD\n{WHOLE}=======\n>>>>>>> other\n"
    (workspace / "dvc.lock").write_text(conflict)
    mend_lock(workspace)
    assert (workspace / "dvc.lock").read_text() == conflict


def test_a_stage_that_writes_nothing_needs_no_outputs(workspace: Path) -> None:
    (workspace / "dvc.lock").write_text(WHOLE)
    keep_lock(workspace)
    more = f"{WHOLE}  register:\n    cmd: python -m tasks.register\n"
    (workspace / "dvc.lock").write_text(more)
    mend_lock(workspace)
    assert (workspace / "dvc.lock").read_text() == more


def test_nothing_is_touched_while_dvc_may_be_writing(workspace: Path) -> None:
    (workspace / "dvc.lock").write_text(WHOLE)
    keep_lock(workspace)
    (workspace / "dvc.lock").write_text("")
    with (workspace / ".dvc/tmp/lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        mend_lock(workspace)
        assert (workspace / "dvc.lock").read_text() == ""
    mend_lock(workspace)
    assert (workspace / "dvc.lock").read_text() == WHOLE
