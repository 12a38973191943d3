"""What strangers bring as a source, member by member: `python -m benchmarks.field` prints the same as a table."""

from pathlib import Path

import pytest

from benchmarks.field import PAGE, rows_of_page
from tests.field_cases import CASES, Case, holds, outcome
from tests.source import ROOT


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.member}".replace("/", "|"))
def test_each_member_has_the_expected_outcome_and_no_dead_end(case: Case, tmp_path: Path) -> None:
    happened = outcome(case, tmp_path)
    assert holds(case.expected, happened), happened
    assert "\n" not in happened


def test_the_page_has_every_kind_and_names_tests_that_exist() -> None:
    rows = list(rows_of_page(PAGE.read_text()))
    kinds = {letter for kind, _, _ in rows for letter in kind.split(".")[0].split(", ")}
    assert kinds == set("ABCDEFGHIJKLMNOPQRS")
    assert all((ROOT / "tests" / name).exists() for _, _, names in rows for name in names)
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert len(rows) == len(lines) - sum(line.startswith("| kind |") for line in lines)


def test_a_row_that_differs_is_found() -> None:
    assert holds("cat 3", "cat 3")
    assert not holds("cat 3", "cat 33")
    assert not holds("cat 3", "refused: no classes")
    assert holds("no classes", "refused: found no classes; do this")
