"""Without a home folder to write to, the flow says so in one line and in seconds."""

from pathlib import Path

import pytest

from tests.conftest import run
from tests.source import ROOT


@pytest.mark.parametrize(("kind", "reason"), [("file", "Not a directory"), ("link", "")])
def test_a_home_that_cannot_be_written_to_is_one_line(tmp_path: Path, kind: str, reason: str) -> None:
    home = tmp_path / "home"
    home.write_text("no folder") if kind == "file" else home.symlink_to("/proc/nowhere")
    output = run(ROOT, "python", "-m", "flows.training", expect=1, HOME=str(home)).stderr
    assert output.startswith(
        f"pawline: {home / '.prefect'}: Prefect keeps its database there, and cannot: {reason}"
    )
    assert output.endswith("; set PREFECT_HOME to a folder that you may write to\n")
    assert output.count("\n") == 1


def test_a_prefect_home_of_the_users_is_the_one_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    output = run(ROOT, "python", "-m", "flows.training", expect=1, PREFECT_HOME=str(tmp_path / "file/x")).stderr
    assert output.startswith(f"pawline: {tmp_path / 'file/x'}: Prefect keeps its database there")
