"""requirements-serve.lock holds what the service needs and nothing else; the Dockerfile that installs it is sound."""

import re
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.conftest import run
from tests.source import PACKAGES, ROOT, imported_names, project_files

SERVE, ALL = ROOT / "requirements-serve.lock", ROOT / "requirements.lock"
HEAVY = {"tensorflow", "keras", "pandas", "mlflow", "prefect", "dvc", "scipy", "pyarrow", "scikit-learn", "onnx"}
# Imported on the way by what needs more than a model in a file: an address of MLflow, tables, HEIC, an activation that
# no network of Pawline's has.
ELSEWHERE = {"mlflow", "requests", "pandas", "pi_heif", "scipy"}


def locked(file: Path) -> set[str]:
    """Each package as name==version."""
    return set(re.findall(r"^[a-z0-9][\w.-]*==[^ ]+", file.read_text(), re.MULTILINE))


def test_the_service_has_the_versions_of_the_whole_project_and_none_of_its_heavy_packages() -> None:
    serve = locked(SERVE)
    assert serve < locked(ALL)
    assert {one.partition("==")[0] for one in serve} & HEAVY == set()


def test_each_package_has_digests_and_none_an_address() -> None:
    entries = re.split(r"\n(?=[a-z0-9])", SERVE.read_text().strip())
    assert len(entries) == len(locked(SERVE))
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in SERVE.read_text()


def test_all_that_predict_and_serve_import_is_in_the_lock() -> None:
    files, waiting, imported = set[str](), {"pawline/cli/predict.py", "pawline/cli/serve.py"}, set[str]()
    while waiting:
        file = waiting.pop()
        files.add(file)
        names = imported_names(ROOT / file)
        imported |= {name.partition(".")[0] for name in names}
        waiting |= project_files(names) - files
    known = packages_distributions()
    foreign = [name for name in imported if name in known and name not in {*PACKAGES, *ELSEWHERE}]
    names = {one.partition("==")[0] for one in locked(SERVE)}
    missing = {name: known[name] for name in foreign if not {normal(one) for one in known[name]} & names}
    assert missing == {}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_dockerfile_has_no_fault_that_hadolint_knows_and_runs_as_nobody() -> None:
    run(ROOT, "hadolint", "Dockerfile")
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    last = lines[max(place for place, line in enumerate(lines) if line.startswith("FROM")) :]
    assert "USER 10001" in last and any(line.startswith("HEALTHCHECK") for line in last)
    copied = [name for line in lines for name in re.findall(r"^COPY (?!--from)(.+) \S+$", line)]
    kept = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(" ".join(copied).split()) == kept


def test_a_command_that_needs_more_than_the_service_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pawline.process import end_with

    def needs_more() -> None:
        import not_installed_here  # type: ignore[import-not-found]  # noqa: F401

    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        end_with(needs_more)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(
        "pawline: this command needs the package not_installed_here, which is not installed here; requirements.lock"
    )
