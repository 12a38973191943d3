"""HEIC pictures of phones are decoded by an optional package; without it one line names the package.

tests/heic holds `tests.test_decode.quarters` as a HEIC encoder wrote it: upright, stored turned as a phone stores it
(the file's own rotation and the EXIF tag both say "turn to the right"), and with a right half that is transparent."""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from pawline.pictures.decode import BadImage, decode_image, read_header
from pawline.pictures.heif import decode_heif
from pawline.prepared import PreparedImages
from tests.source import ROOT
from tests.test_decode import corners
from tests.test_prepare import PARAMS, prepare_all

RED, GREEN, BLUE, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]


def heic(name: str) -> bytes:
    return (ROOT / "tests/heic" / f"{name}.heic").read_bytes()


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)  # an import of it fails


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("upright", [RED, GREEN, BLUE, WHITE]),
        ("turned", [BLUE, RED, WHITE, GREEN]),  # turned once; twice would put white first
        ("alpha", [RED, WHITE, BLUE, WHITE]),
    ],
)
def test_a_heic_picture_is_decoded_and_turned_once(name: str, expected: list[list[int]]) -> None:
    assert corners(decode_image(heic(name), 32, "rgb")) == expected
    gray = decode_image(heic(name), 32, "grayscale")
    assert gray.shape == (32, 32, 1)
    weights = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(gray[[8, 8, 24, 24], [8, 24, 8, 24], 0], np.array(expected) @ weights, atol=4)


def test_transparent_heic_pixels_show_the_background() -> None:
    assert corners(decode_image(heic("alpha"), 32, "rgb", background=0))[1] == [0, 0, 0]


def test_the_header_needs_no_package(no_package: None) -> None:
    header = read_header(heic("upright"))
    assert (header.format, header.width, header.height) == ("HEIF", 96, 64)


def test_without_the_package_one_line_names_the_extra(no_package: None) -> None:
    with pytest.raises(BadImage) as refused:
        decode_image(heic("upright"), 32, "rgb")
    line = "unsupported: a HEIC picture: install the extra `pawline[heif]` (the package pi-heif) to decode it"
    assert str(refused.value) == line


def test_prepare_says_what_to_install(
    tmp_path: Path, no_package: None, capsys: pytest.CaptureFixture[str]
) -> None:
    images, quarantine = prepared_with_heic(tmp_path)
    assert list(quarantine["path"]) == ["cat/phone.heic", "dog/phone.heic"]
    assert set(quarantine["reason"]) == {"unsupported"}
    assert "pi-heif" not in images.decoder
    said = capsys.readouterr().err
    assert "prepare: 2 HEIC pictures cannot be decoded: install the extra `pawline[heif]`" in said


def test_the_decoder_is_named_where_it_was_used(tmp_path: Path) -> None:
    images, quarantine = prepared_with_heic(tmp_path)
    assert len(quarantine) == 0
    assert images.decoder.endswith(f" pi-heif/{version('pi-heif')}")
    (tmp_path / "pictures/cat/phone.heic").unlink()
    (tmp_path / "pictures/dog/phone.heic").unlink()
    assert "pi-heif" not in prepare_all(tmp_path / "pictures")[0].decoder


def test_another_version_of_the_decoder_finds_nothing_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bytes] = []
    monkeypatch.setattr(
        "pawline.pictures.decode.decode_heif", lambda data, limit: decoded.append(data) or decode_heif(data, limit)
    )
    for decoder, num_decoded in (("pi-heif/1", 2), ("pi-heif/1", 2), ("pi-heif/2", 4)):
        monkeypatch.setattr("pawline.prepare.heif_decoder", lambda decoder=decoder: decoder)
        prepared_with_heic(tmp_path, cache_gigabytes=1.0)
        assert len(decoded) == num_decoded


def prepared_with_heic(folder: Path, **params: object) -> tuple[PreparedImages, object]:
    from tests.conftest import encode, stripes

    for name, picture in (("cat", "upright"), ("dog", "alpha")):
        (folder / "pictures" / name).mkdir(parents=True, exist_ok=True)
        (folder / "pictures" / name / "phone.heic").write_bytes(heic(picture))
        (folder / "pictures" / name / "web.jpg").write_bytes(encode(stripes(name == "cat", 1)))
    return prepare_all(folder / "pictures", PARAMS.model_copy(update=params))


def test_the_limit_of_pixels_holds_for_heic_too() -> None:
    with pytest.raises(BadImage, match="too_large: 96 x 64 pixels, more than prepare.max_megapixels"):
        decode_image(heic("upright"), 32, "rgb", max_megapixels=0.006)
    lying = heic("upright").replace((96).to_bytes(4) + (64).to_bytes(4), (9).to_bytes(4) + (6).to_bytes(4))
    with pytest.raises(BadImage):
        decode_image(lying, 32, "rgb", max_megapixels=0.006)


def test_a_damaged_heic_picture_is_truncated_and_a_film_is_none() -> None:
    data = heic("turned")
    for length in np.linspace(40, len(data) - 30, 20, dtype=int):
        with pytest.raises(BadImage, match="truncated"):
            decode_image(data[:length], 32, "rgb")
    film = b"\0\0\0\x18ftypqt  \0\0\0\0qt  \0\0\0\0" + bytes(100)
    with pytest.raises(BadImage, match="unsupported: a film or a camera's RAW picture"):
        decode_image(film, 32, "rgb")
    raw = b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom" + bytes(100)
    with pytest.raises(BadImage, match="unsupported: a film or a camera's RAW picture"):
        decode_image(raw, 32, "rgb")
