"""The contact sheet shows the quarantined pictures that can be decoded, and never decodes a hostile file."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pawline.ingest import ingest
from pawline.params.ingest import IngestParams
from pawline.params.prepare import PrepareParams
from pawline.pictures.contact_sheet import MAX_TILES, contact_sheet
from pawline.pictures.decode import safe_thumbnail
from pawline.prepare import prepare
from tests.conftest import encode, stripes, write_pictures
from tests.test_decode import jpeg_that_claims

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns about damaged headers

PARAMS = PrepareParams(
    image_size=16, color="grayscale", aspect="stretch", background=255, max_bad_fraction=1.0, cache_gigabytes=0
)
CUT = encode(stripes(True, 900, 160, 120))
CUT = CUT[: len(CUT) // 2]


def sheet_of(tmp_path: Path, bad: dict[str, bytes]) -> pd.DataFrame:
    """The contact sheet of three good pictures per class and the given bad files."""
    source, raw = write_pictures(tmp_path / "pictures", 3), tmp_path / "raw"
    for path, data in bad.items():
        (source / path).write_bytes(data)
    index = ingest(IngestParams(source=str(source), sha256=None), raw, raw.parent / "downloads").rows.table()
    return contact_sheet(index, prepare(index, raw, tmp_path / "prepared", PARAMS, tmp_path / "cache"), raw)


def decoded(picture: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR))


def test_decodable_pictures_are_shown_and_other_files_are_listed(tmp_path: Path) -> None:
    bad = {
        "vertical/cut.jpg": CUT,
        "vertical/empty.jpg": b"",
        "vertical/huge.jpg": jpeg_that_claims(65_000, 65_000),
        "vertical/tiny.png": encode(stripes(True, 1, 3, 2), ".png"),
        "vertical/words.jpg": b"words",
    }
    sheet = sheet_of(tmp_path, bad).set_index("path")
    assert {path: bool(picture) for path, picture in sheet["picture"].items()} == {
        path: path in ("vertical/cut.jpg", "vertical/tiny.png") for path in bad
    }
    assert decoded(sheet["picture"]["vertical/cut.jpg"]).shape == (72, 96, 3)
    assert decoded(sheet["picture"]["vertical/tiny.png"]).shape == (64, 96, 3)
    assert list(sheet["reason"]) == ["empty", "not_an_image", "too_small", "too_large", "truncated"]
    assert sheet["detail"]["vertical/tiny.png"] == "3 x 2 pixels"


def test_the_missing_part_of_a_truncated_jpeg_is_grey() -> None:
    thumbnail = safe_thumbnail(CUT, 96)
    whole = safe_thumbnail(encode(stripes(True, 900, 160, 120)), 96)
    assert thumbnail is not None and whole is not None
    assert np.abs(thumbnail[:20].astype(int) - whole[:20]).mean() < 2
    assert np.abs(thumbnail[-20:].astype(int) - 128).max() < 3


def test_exact_copies_with_two_labels_follow_each_other(tmp_path: Path) -> None:
    pictures = [encode(stripes(True, seed)) for seed in (700, 701)]
    bad = {"horizontal/a.jpg": 0, "horizontal/b.jpg": 1, "vertical/c.jpg": 1, "vertical/d.jpg": 0}
    sheet = sheet_of(tmp_path, {path: pictures[seed] for path, seed in bad.items()})
    assert list(sheet["path"]) == ["horizontal/a.jpg", "vertical/d.jpg", "horizontal/b.jpg", "vertical/c.jpg"]
    assert sheet["picture"][0] == sheet["picture"][1] != sheet["picture"][2]


def test_the_tiles_are_evenly_distributed_over_the_reasons(tmp_path: Path) -> None:
    bad = {f"vertical/e{number:03}.jpg": b"" for number in range(100)}
    bad |= {f"vertical/w{number:03}.jpg": b"words %d" % number for number in range(3)}
    bad |= {f"vertical/t{number:03}.png": encode(stripes(True, number, 3, 3), ".png") for number in range(100)}
    sheet = sheet_of(tmp_path, bad)
    assert len(sheet) == MAX_TILES
    assert list(sheet["reason"].value_counts(sort=False).items()) == [
        ("empty", 29),
        ("not_an_image", 3),
        ("too_small", 28),
    ]
    assert list(sheet["path"][:2]) == ["vertical/e000.jpg", "vertical/e001.jpg"]


def test_an_empty_quarantine_makes_an_empty_sheet(tmp_path: Path) -> None:
    sheet = sheet_of(tmp_path, {})
    assert list(sheet.columns) == ["path", "class_name", "reason", "detail", "picture"] and len(sheet) == 0


def test_a_file_that_cannot_be_read_is_a_row_without_a_picture(tmp_path: Path) -> None:
    paths = ["cat/gone.jpg", "cat/folder", "cat/changed.jpg"]
    (tmp_path / "cat/folder").mkdir(parents=True)
    (tmp_path / "cat/changed.jpg").write_bytes(encode(stripes(True, 1)))
    reasons = ["truncated", "truncated", "unreadable"]
    quarantine = pd.DataFrame({"path": paths, "class_name": "cat", "reason": reasons, "detail": ""})
    sheet = contact_sheet(pd.DataFrame({"path": paths, "digest": ["1", "2", ""]}), quarantine, tmp_path)
    assert dict(zip(sheet["path"], sheet["picture"], strict=True)) == dict.fromkeys(paths, b"")


def test_a_file_that_is_too_large_never_reaches_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pawline.pictures.decode.cv2.imdecode", lambda *_: pytest.fail("decoded"))
    assert safe_thumbnail(jpeg_that_claims(65_000, 65_000), 96) is None


def test_truncated_pictures_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sheet = sheet_of(tmp_path, {"vertical/cut.jpg": CUT})
    assert list(map(bool, sheet["picture"])) == [True]
    assert "JPEG" not in "".join(capfd.readouterr())


def damaged(data: bytes, seed: int) -> Iterable[bytes]:
    rng = np.random.default_rng(seed)
    for _ in range(100):
        content = np.frombuffer(data, np.uint8).copy()
        content[rng.integers(len(content), size=4)] = rng.integers(256, size=4)
        yield content[: rng.integers(len(content))].tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_damaged_bytes_give_a_picture_or_none_and_never_a_crash(suffix: str) -> None:
    for data in damaged(encode(stripes(True, 6, 60, 40), suffix), seed=6):
        thumbnail = safe_thumbnail(data, 96)
        assert thumbnail is None or max(thumbnail.shape) == 96
