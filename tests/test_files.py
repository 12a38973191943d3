"""Outputs appear whole or not at all: after an exception, on a full disk, under `kill -9`."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from pawline.files import (
    delete_abandoned,
    modified,
    read_regular_file,
    whole_file,
    whole_folder,
    write_bytes,
    write_json,
    write_table,
    write_text,
)
from tests.conftest import run
from tests.source import ROOT


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_written_file_replaces_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "new folder/a.txt", "old")
    write_text(tmp_path / "new folder/a.txt", "new")
    assert (tmp_path / "new folder/a.txt").read_text() == "new"
    assert names(tmp_path / "new folder") == ["a.txt"]


def test_the_old_file_stays_while_the_new_file_is_written(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("ne")
        assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), SystemExit(143)])
def test_a_failed_write_leaves_only_the_old_file(tmp_path: Path, error: BaseException) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(type(error)), whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("ne")
        raise error
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A limit on the file size makes a write fail half-way, as a full disk does."""
    write_text(tmp_path / "a.txt", "old")
    code = (
        "import resource; from pathlib import Path; from pawline.files import write_bytes\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_bytes(Path('a.txt'), bytes(5000))"
    )
    assert "File too large" in run(tmp_path, sys.executable, "-c", code, expect=1).stderr
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


FULL_DISK = """
import errno, sys
from pathlib import Path
import numpy as np, pandas as pd
from pawline.files import whole_file, whole_folder, write_table
from pawline.process import end_with
from pawline.training.checkpoint import Checkpoint, Progress

def through_dev_full(write):
    with whole_file(Path("a.bin")) as partial:
        partial.symlink_to("/dev/full")
        write(partial)

def folder():
    with whole_folder(Path("a.bin")) as partial, open("/dev/full", "wb") as file:
        (partial / "1").write_bytes(b"")
        file.write(bytes(100000))

def unnamed():
    with open("/dev/full", "wb") as file:
        file.write(bytes(100000))

table = pd.DataFrame({"a": np.arange(100000)})
ways = {
    "bytes": lambda: through_dev_full(lambda path: path.write_bytes(bytes(100000))),
    "csv": lambda: through_dev_full(table.to_csv),
    "parquet": lambda: through_dev_full(lambda path: table.to_parquet(path.open("wb"))),
    "numpy": lambda: through_dev_full(lambda path: np.save(path.open("wb"), table.to_numpy())),
    "folder": folder,
    "unnamed": unnamed,
}
end_with(ways[sys.argv[1]])
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux, on which no byte has room")
@pytest.mark.parametrize("way", ["bytes", "csv", "parquet", "numpy", "folder", "unnamed"])
def test_a_full_disk_is_named_in_one_line_with_a_path(tmp_path: Path, way: str) -> None:
    error = run(tmp_path, sys.executable, "-c", FULL_DISK, way, expect=1, PYTHONPATH=str(ROOT)).stderr
    path = error.removeprefix("pawline: ").removesuffix(": No space left on device\n")
    assert path == "a.bin" if way != "unnamed" else Path(path).is_dir()


WRITE_HALF = """
import time
from pathlib import Path
from pawline.files import whole_file, whole_folder
with whole_file(Path("a.txt")) as file, whole_folder(Path("a folder")) as folder:
    file.write_text("ne")
    (folder / "1.txt").write_text("ne")
    print("half", flush=True)
    time.sleep(60)
"""


def test_a_killed_writer_leaves_the_old_outputs_and_the_next_writer_succeeds(tmp_path: Path) -> None:
    write_old(tmp_path)
    with subprocess.Popen([sys.executable, "-c", WRITE_HALF], cwd=tmp_path, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        writer.send_signal(signal.SIGKILL)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert {path.name: path.read_text() for path in (tmp_path / "a folder").iterdir()} == {"old.txt": "old"}

    write_text(tmp_path / "a.txt", "new")
    with whole_folder(tmp_path / "a folder") as folder:
        assert names(folder) == []
        (folder / "2.txt").touch()
    assert names(tmp_path) == ["a folder", "a.txt"]
    assert names(tmp_path / "a folder") == ["2.txt"]


def write_old(folder: Path) -> None:
    write_text(folder / "a.txt", "old")
    write_text(folder / "a folder/old.txt", "old")


def test_a_failed_folder_leaves_only_the_old_folder(tmp_path: Path) -> None:
    write_old(tmp_path)
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "a folder") as folder:
        (folder / "1.txt").touch()
        raise KeyboardInterrupt
    assert names(tmp_path) == ["a folder", "a.txt"]
    assert names(tmp_path / "a folder") == ["old.txt"]


def test_the_old_folder_is_renamed_before_it_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleting takes time: a process killed during that time must not leave half a folder at the path."""
    write_old(tmp_path)
    removed = []
    monkeypatch.setattr("pawline.files.shutil.rmtree", lambda path, **_: removed.append(Path(path).name))
    with whole_folder(tmp_path / "a folder") as folder:
        (folder / "new.txt").touch()
    assert "a folder" not in removed
    assert names(tmp_path / "a folder") == ["new.txt"]


def test_equal_values_make_equal_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "ä"})
    write_json(tmp_path / "b.json", {"a": "ä", "b": 1})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": "ä",\n  "b": 1\n}\n'
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_json_with_nan_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"loss": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": math.nan})
    assert json.loads((tmp_path / "a.json").read_text()) == {"loss": 1.0}


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_tables_are_read_as_they_were_written(tmp_path: Path, name: str) -> None:
    table = pd.DataFrame({"path": ["a, b.jpg", 'q"\n.jpg', ""], "size": [1, 2, 3]}, index=[7, 8, 9])
    write_table(tmp_path / name, table)
    table_read = (
        pd.read_parquet(tmp_path / name)
        if name == "a.parquet"
        else pd.read_csv(tmp_path / name, keep_default_na=False)
    )
    pd.testing.assert_frame_equal(table_read, table.reset_index(drop=True))


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"bytes")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    assert read_regular_file(tmp_path / "a") == read_regular_file(tmp_path / "link") == b"bytes"
    for name, reason in [
        ("pipe", "not a regular file"),
        ("nothing", "No such file"),
        (".", "directory"),
        ("/dev/zero", "not a regular file"),
    ]:
        with pytest.raises(OSError, match=reason):
            read_regular_file(tmp_path / name)


def test_partial_files_are_deleted_a_day_after_their_last_write(tmp_path: Path) -> None:
    for name, hours in (("old", 25), ("recent", 23)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (then := time.time() - hours * 3600, then))
    delete_abandoned(tmp_path / name for name in ("old", "recent", "deleted meanwhile"))
    assert names(tmp_path) == ["recent"]
    assert modified(tmp_path / "recent") == then and modified(tmp_path / "old") == 0
