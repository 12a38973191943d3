"""Names reach the terminal in one line, without control codes, and never end in a traceback."""

import io
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawline.process import _complain
from pawline.terminal import from_printable, listed, printable, shell_word


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")


@given(st.text(), st.sampled_from(["ascii", "latin-1", "cp1252", "utf-8"]))
def test_every_name_becomes_one_printable_line_and_comes_back(name: str, encoding: str) -> None:
    shown = printable(name, stream(encoding))
    shown.encode(encoding)
    assert shown == "" or shown.isprintable()
    assert from_printable(shown) == name


def test_surrogates_of_names_that_are_not_utf_8_come_back_too() -> None:
    assert printable("caf\udce9.jpg", stream("utf-8")) == "caf\\udce9.jpg"
    assert from_printable("caf\\udce9.jpg") == "caf\udce9.jpg"


@pytest.mark.parametrize("name", ["cat.jpg", "a folder/Ünï (1) #2, 'x'.jpg", "犬.jpg", "data/ingested/cat.1.jpg"])
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert printable(name, stream("utf-8")) == name


def test_an_error_line_obeys_no_escape_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert _complain("red\x1b[31m\nname\x07: not found", 3) == 3
    assert capsys.readouterr().err == "pawline: red\\x1b[31m name\\x07: not found\n"


@pytest.mark.parametrize(
    "name", ["cat.jpg", "a b'c.jpg", "\x1b[2J.jpg", "new\nline", "caf\udce9", "a\\\x07'b", "-rf"]
)
def test_a_command_to_paste_names_any_file_and_holds_no_escape_code(name: str) -> None:
    word = shell_word(name)
    assert word.isprintable()
    shown = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
    assert os.fsdecode(shown) == name


def test_a_long_list_of_names_ends_in_their_number() -> None:
    assert listed([], 2) == ""
    assert listed("ab", 2) == "a, b"
    assert listed("abcd", 2) == "a, b and 2 more"
    assert listed((str(number) for number in range(1003)), 1, "classes") == "0 and 1,002 more classes"
