"""A reader who has enough, as `head` has, ends a command in silence, and takes nothing of its other work away."""

from pathlib import Path

import pytest

from pawline.cli.standard_output import until_reader_leaves
from tests.conftest import run


def piped(folder: Path, code: str) -> tuple[str, str]:
    """The exit code of a program whose reader leaves after a line, and what it says on standard error."""
    (folder / "program.py").write_text(code)
    done = run(folder, "bash", "-c", "python program.py | head -n 1 > /dev/null; echo ${PIPESTATUS[0]}")
    return done.stdout.strip(), done.stderr


def test_a_summary_follows_though_the_reader_has_left(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pawline.cli.standard_output import show\n"
        "show(['a line of a long list'] * 100_000)\n"
        "print('more')\nprint('the summary', file=sys.stderr)\n"
    )
    assert piped(tmp_path, code) == ("0", "the summary\n")


def test_a_list_that_nobody_reads_ends_in_silence(tmp_path: Path) -> None:
    code = (
        "from pawline.cli.standard_output import until_reader_leaves\nfrom pawline.process import end_with\n"
        "end_with(lambda: until_reader_leaves(lambda: print('a line of a long list\\n' * 100_000)))\n"
    )
    assert piped(tmp_path, code) == ("141", "")


def test_the_broken_pipe_of_something_else_stays_an_error() -> None:
    def ask_a_server() -> int:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        until_reader_leaves(ask_a_server)


def test_the_exit_code_of_the_work_is_kept() -> None:
    assert (until_reader_leaves(lambda: 3), until_reader_leaves(lambda: None)) == (3, None)
