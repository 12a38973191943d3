"""A lock that nobody holds any more blocks nobody."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pawline.cli.verify import verify
from pawline.errors import BusyError
from pawline.workspace.dvc_command import dvc_failure
from pawline.workspace.stale_locks import is_dvc_at_work, release_stale_locks


@pytest.fixture
def record(tmp_path: Path) -> Path:
    folder = tmp_path / ".dvc/tmp"
    folder.mkdir(parents=True)
    return folder / "rwlock"


@contextmanager
def program(path: Path) -> Iterator[int]:
    """The number of a process that runs a program of this name."""
    path.write_text("import time; print('started', flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.kill()


def holder(pid: int) -> dict[str, object]:
    return {"pid": pid, "cmd": "dvc repro"}


def ended() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_locks_of_living_dvc_commands_stay(record: Path, tmp_path: Path) -> None:
    with program(tmp_path / "dvc") as dvc_number, program(tmp_path / "editor") as other_number:
        gone, other, dvc = holder(ended()), holder(other_number), holder(dvc_number)
        held = {"write": {"a": gone, "b": other, "c": dvc}, "read": {"d": [gone, dvc], "e": [other]}}
        record.write_text(json.dumps(held))
        release_stale_locks(tmp_path)
    assert json.loads(record.read_text()) == {"write": {"c": dvc}, "read": {"d": [dvc]}}


@pytest.mark.parametrize("text", ["", '{"write": {"a"', "[]", '{"write": 1}', '{"write": {"a": {}}}'])
def test_a_half_written_record_is_deleted(record: Path, tmp_path: Path, text: str) -> None:
    record.write_text(text)
    release_stale_locks(tmp_path)
    assert not record.exists()


def test_without_a_record_none_is_created(record: Path, tmp_path: Path) -> None:
    release_stale_locks(tmp_path)
    assert list(record.parent.iterdir()) == []


def test_dvc_is_at_work_while_a_living_dvc_command_holds_a_file(record: Path, tmp_path: Path) -> None:
    assert not is_dvc_at_work(tmp_path)
    with program(tmp_path / "dvc") as number:
        record.write_text(json.dumps({"write": {"a": holder(number)}}))
        assert is_dvc_at_work(tmp_path)
    assert not is_dvc_at_work(tmp_path)


def test_who_is_at_work_is_said_once_without_the_advice_to_delete_locks() -> None:
    by_dvc = (
        "ERROR: '/a/b' is busy, it is being blocked by: (PID 51): dvc repro (PID 51): dvc repro If there are no"
    )
    error = dvc_failure(f"{by_dvc} processes with such PIDs, you can manually remove '/a/.dvc/tmp/rwlock'.", 255)
    assert str(error) == "busy, try again: a DVC command is at work in this checkout (process 51)"
    assert isinstance(error, BusyError)


def test_pawline_verify_is_busy_while_dvc_writes_its_outputs(
    record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with program(tmp_path / "dvc") as number:
        record.write_text(json.dumps({"write": {"data/split.parquet": holder(number)}, "read": {}}))
        with pytest.raises(BusyError, match=r"^busy, try again: a DVC command is at work in this checkout$"):
            verify()
