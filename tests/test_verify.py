"""`pawline verify` reads every byte."""

import os
from pathlib import Path

import pytest

from tests.conftest import run


def verify(workspace: Path, expect: int) -> list[str]:
    return run(workspace, "pawline", "verify", expect=expect).stdout.splitlines()


def test_untouched_outputs_are_all_found_right(finished_workspace: Path) -> None:
    (last,) = verify(finished_workspace, expect=0)
    # 120 pictures; index; table, description, hashes and one shard; quarantine, contact sheet, split, left out;
    # model and card; five metrics; history, predictions, ROC and the report.
    assert last == "140 files read, 0 differ from dvc.lock"


@pytest.mark.parametrize(
    "path",
    [
        "data/ingested/vertical/007.jpg",
        "data/prepared/images-00000.npy",
        "data/prepared/table.parquet",
        "models/model.keras",
    ],
)
def test_one_flipped_bit_is_found_even_where_size_and_time_are_the_same(finished: Path, path: str) -> None:
    file = finished / path
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    first, last = verify(finished, expect=1)
    assert first == f"{path}: is not what was recorded"
    assert "1 differ from dvc.lock; delete what differs and run `dvc checkout`" in last
    file.unlink()
    run(finished, "dvc", "checkout")
    verify(finished, expect=0)


def test_missing_and_added_files_are_named(finished: Path) -> None:
    (finished / "data/ingested/vertical/007.jpg").unlink()
    (finished / "data/ingested/vertical/new.jpg").write_bytes(b"new")
    lines = verify(finished, expect=1)
    assert lines[:2] == [
        "data/ingested/vertical/007.jpg: is missing",
        "data/ingested/vertical/new.jpg: is not part of the recorded output",
    ]


def test_before_the_first_run_there_is_nothing_to_verify(workspace: Path) -> None:
    output = run(workspace, "pawline", "verify", expect=1).stderr
    assert output == "pawline: dvc.lock: not there; nothing has been run yet: `dvc repro`\n"
