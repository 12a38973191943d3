"""What strangers bring as a source, member by member: `python -m benchmarks.field` prints the same as a table."""

from pathlib import Path

import pytest

from tests.field_cases import CASES, Case, holds, outcome


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.member}".replace("/", "|"))
def test_each_member_has_the_expected_outcome_and_no_dead_end(case: Case, tmp_path: Path) -> None:
    happened = outcome(case, tmp_path)
    assert holds(case.expected, happened), happened
    assert "\n" not in happened
