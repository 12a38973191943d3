"""The table of docs/field-notes.md as one command:  python -m benchmarks.field [--sources]

A row for each member of each kind: what is expected, what happened. Sources are drawn, and taken in by the library; the
members of the other kinds (MLflow, secrets, trainings, DVC …) are the tests that the page names, run by pytest.
`--sources` leaves those out, which takes seconds in place of minutes. Exits with 1 when one row differs.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.field_cases import CASES, holds, outcome
from tests.source import ROOT

PAGE = ROOT / "docs/field-notes.md"
OF_SOURCES = "test_field.py"


@dataclass(frozen=True)
class Result:
    """A row. good: whether what happened is what was expected."""

    kind: str
    member: str
    expected: str
    happened: str
    good: bool

    def __str__(self) -> str:
        sign = "     " if self.good else "WRONG"
        return f"{sign} {self.kind} | {self.member} | expected: {self.expected} | happened: {self.happened}"


def sources() -> Iterator[Result]:
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            happened = outcome(case, Path(folder))
        yield Result(case.kind, case.member, case.expected, happened, holds(case.expected, happened))


def rows_of_page(page: str) -> Iterator[tuple[str, str, list[str]]]:
    """(kind, what happens now, test files) for each row of the page's tables."""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 4 and (tests := re.findall(r"test_\w+\.py", cells[3])):
            yield cells[0], cells[2], tests


def tests_of(files: list[str]) -> dict[str, list[tuple[str, str]]]:
    """The tests of each file: (its claim, what happened)."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        paths = [f"tests/{name}" for name in files]
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", f"--junitxml={report}", *paths]
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
        found: dict[str, list[tuple[str, str]]] = {name: [] for name in files}
        for case in ElementTree.parse(report).iter("testcase"):
            problem = case.find("failure") if case.find("failure") is not None else case.find("error")
            happened = "as expected" if problem is None else f"failed: {problem.get('message', '')[:200]}"
            if case.find("skipped") is not None:
                happened = "as expected (skipped here)"
            name = f"{case.get('classname', '').rsplit('.', 1)[-1]}.py"
            found.setdefault(name, []).append(
                (case.get("name", "").removeprefix("test_").replace("_", " "), happened)
            )
    return found


def other_kinds() -> Iterator[Result]:
    rows = list(rows_of_page(PAGE.read_text()))
    files = sorted({name for _, _, names in rows for name in names} - {OF_SOURCES})
    tests = tests_of(files)
    for kind, expected, names in rows:
        for name in names:
            for claim, happened in tests.get(name) or [(name, "no test of this file ran")]:
                yield Result(kind, claim, expected, happened, happened.startswith("as expected"))


def main() -> None:
    results = []
    for result in (*sources(), *(() if "--sources" in sys.argv[1:] else other_kinds())):
        print(" ".join(str(result).split()) if not result.good else result, flush=True)
        results.append(result)
    good = sum(result.good for result in results)
    print(f"{good} of {len(results)} members as expected")
    sys.exit(good != len(results))


if __name__ == "__main__":
    main()
