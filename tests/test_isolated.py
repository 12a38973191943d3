"""A relative source stays in place for a run with other params, in a workspace of its own."""

from pathlib import Path

import pytest

from pawline.errors import PawlineError
from pawline.workspace import isolated


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Beside a workspace with pictures in three places, a checkout that has only what git tracks."""
    for place in ("pictures", "home/data/photos", "home/photos"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "1.jpg").touch()
    monkeypatch.setattr(isolated, "WORKSPACE", tmp_path / "home")
    inner = tmp_path / "run" / isolated.NEST
    (inner / "data").mkdir(parents=True)
    (inner / "data/generated.yaml").touch()
    return inner


@pytest.mark.parametrize(
    "source", ["../pictures", "photos", "data/photos", "./data/photos/1.jpg", "data/../photos"]
)
def test_a_relative_source_is_found(checkout: Path, source: str) -> None:
    isolated._link_source(source, checkout)
    found = checkout / source
    assert found.exists()
    assert (found if found.is_file() else found / "1.jpg").exists()


@pytest.mark.parametrize("source", ["data/generated.yaml", "s3://bucket/pictures", "/pictures"])
def test_what_is_there_or_needs_no_link_gets_none(checkout: Path, source: str) -> None:
    before = sorted(checkout.rglob("*"))
    isolated._link_source(source, checkout)
    assert sorted(checkout.rglob("*")) == before


@pytest.mark.parametrize("source", ["..", "../" * 9 + "pictures"])
def test_a_source_too_far_out_is_refused(checkout: Path, source: str) -> None:
    with pytest.raises(PawlineError, match="leads too far out of the checkout; make it absolute"):
        isolated._link_source(source, checkout)
