"""What is new in a source, by content."""

from pathlib import Path

import pytest

from pawline.errors import PawlineError
from pawline.ingest import ingest
from pawline.params.ingest import IngestParams
from pawline.workspace.layout import Layout
from pawline.workspace.source_changes import ChangesByContent, ChangesByPath, changes_by_content, changes_by_path
from tests.conftest import encode, stripes, write_pictures


@pytest.fixture
def taken_in(tmp_path: Path) -> tuple[IngestParams, Path]:
    """A source of twenty pictures, and the workspace that took it in."""
    params = IngestParams(source=str(write_pictures(tmp_path / "pictures", count=10)), sha256=None)
    (tmp_path / Layout().index).parent.mkdir()
    ingest(params, tmp_path / Layout().raw, tmp_path / "downloads").rows.write(tmp_path / Layout().index)
    return params, tmp_path


def test_nothing_is_new_in_a_source_that_was_taken_in(taken_in: tuple[IngestParams, Path]) -> None:
    news = changes_by_content(*taken_in)
    assert (news.num_new, news.changed) == (0, False)


def test_new_content_is_counted_and_copies_and_damage_are_not(taken_in: tuple[IngestParams, Path]) -> None:
    folder = Path(taken_in[0].source)
    write_pictures(folder, count=3, first=500)
    (folder / "vertical/renamed.jpg").write_bytes((folder / "vertical/000.jpg").read_bytes())
    (folder / "vertical/words.jpg").write_text("no picture")
    news = changes_by_content(*taken_in)
    assert (news.num_new, news.changed) == (6, True)


def test_files_that_are_no_pictures_are_nothing_new(taken_in: tuple[IngestParams, Path]) -> None:
    folder, index = Path(taken_in[0].source), taken_in[1] / Layout().index
    for name in ("000.jpg.json", "IMG_1.AAE", "README", "notes.xyz"):
        (folder / "vertical" / name).write_text("words")
    news = changes_by_content(*taken_in)
    assert (news.num_new, news.changed) == (0, False)
    assert changes_by_path(folder, index, None) == ChangesByPath(0, 0, 0)
    (folder / "vertical/words.jpg").write_text("a bad picture")
    assert changes_by_path(folder, index, None) == ChangesByPath(1, 0, 0)


def test_linked_pictures_are_compared_as_ingest_reads_them(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "elsewhere", count=3)
    (tmp_path / "source").mkdir()
    for name in ("horizontal", "vertical"):
        (tmp_path / "source" / name).symlink_to(pictures / name)
    params = IngestParams(source=str(tmp_path / "source"), sha256=None, follow_links=True)
    ingest(params, tmp_path / "raw", tmp_path / "downloads").rows.write(tmp_path / "index.parquet")
    changes = changes_by_path(tmp_path / "source", tmp_path / "index.parquet", None, params)
    assert changes == ChangesByPath(0, 0, 0)


def test_a_file_that_is_gone_is_a_change_but_nothing_new(taken_in: tuple[IngestParams, Path]) -> None:
    (Path(taken_in[0].source) / "vertical/000.jpg").unlink()
    news = changes_by_content(*taken_in)
    assert (news.num_new, news.changed) == (0, True)


def test_everything_is_new_where_nothing_was_taken_in(taken_in: tuple[IngestParams, Path]) -> None:
    assert changes_by_content(taken_in[0], Path("nowhere")).num_new == 20


def test_a_file_that_moved_to_another_class_is_a_change(taken_in: tuple[IngestParams, Path]) -> None:
    folder, before = Path(taken_in[0].source), changes_by_content(*taken_in)
    (folder / "vertical/000.jpg").rename(folder / "horizontal/900.jpg")
    news = changes_by_content(*taken_in)
    assert (news.num_new, news.changed) == (0, True)
    assert news.digest != before.digest


def test_an_index_that_cannot_be_read_is_named(taken_in: tuple[IngestParams, Path]) -> None:
    (taken_in[1] / Layout().index).write_text("no table")
    with pytest.raises(PawlineError, match=r"index.parquet: cannot be read: .* `dvc checkout`"):
        changes_by_content(*taken_in)


def test_the_digest_follows_content_and_not_names(taken_in: tuple[IngestParams, Path]) -> None:
    def digest() -> str:
        news: ChangesByContent = changes_by_content(*taken_in)
        return news.digest

    folder, before = Path(taken_in[0].source), digest()
    (folder / "vertical/000.jpg").rename(folder / "vertical/other.jpg")
    assert digest() == before
    (folder / "vertical/other.jpg").write_bytes(encode(stripes(True, 900)))
    assert digest() != before
