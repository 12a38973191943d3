"""Transparent pixels show the background and never what lies hidden in them, whatever the format."""

import io

import numpy as np
import pytest
from PIL import Image

from pawline.pictures.decode import BadImage, decode_image
from tests.rare_pictures import tiff

ASSOCIATED, UNASSOCIATED = 1, 2  # alpha in a TIFF: the colours are multiplied by it, or not


def half_and_hidden(dtype: type, channels: int, multiplied: bool) -> np.ndarray:
    """(8, 8, channels): on the left half-transparent white; on the right invisible red, or black where the colours are
    multiplied by alpha. The last channel is alpha."""
    most = np.iinfo(dtype).max
    picture = np.zeros((8, 8, channels), dtype)
    picture[:, :4] = most // 2 + 1
    if not multiplied:
        picture[:, :4, :-1] = most
        picture[:, 4:, 0] = most
    return picture


@pytest.mark.parametrize("background", [255, 0, 100])
@pytest.mark.parametrize("extra", [ASSOCIATED, UNASSOCIATED])
@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 4), (np.uint16, 4), (np.uint8, 2)])
def test_a_tiff_with_alpha_lies_over_the_background(
    dtype: type, channels: int, extra: int, background: int
) -> None:
    data = tiff(half_and_hidden(dtype, channels, extra == ASSOCIATED), extra_sample=extra)
    half = 255 * 128 / 255 + background * (1 - 128 / 255)
    for color in ("rgb", "grayscale"):
        row = decode_image(data, 8, color, background=background)[0].astype(int)
        np.testing.assert_allclose(row[0], half, atol=1)
        np.testing.assert_array_equal(row[7], background)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_a_hidden_colour_shows_in_no_format(form: str) -> None:
    picture = np.zeros((16, 16, 4), np.uint8)
    picture[:, :8] = (0, 0, 0, 255)
    picture[:, 8:] = (255, 0, 0, 0)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form)
    row = decode_image(buffer.getvalue(), 16, "rgb", background=200)[8].astype(int)
    np.testing.assert_allclose(row[2], 0, atol=3)
    np.testing.assert_allclose(row[13], 200, atol=3)


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 4), (np.uint16, 4), (np.uint8, 2), (np.uint8, 3)])
@pytest.mark.parametrize(("orientation", "bright"), [(1, 0), (3, 3), (6, 1), (8, 2)])
def test_a_tiff_is_turned_upright_once(dtype: type, channels: int, orientation: int, bright: int) -> None:
    most = np.iinfo(dtype).max
    picture = np.zeros((8, 12, channels), dtype)
    picture[:4, :6] = most
    tags = {"orientation": orientation}
    if channels in (2, 4):
        picture[:, :, -1] = most
        tags["extra_sample"] = UNASSOCIATED
    quarters = decode_image(tiff(picture, **tags), 8, "grayscale")[[1, 1, 6, 6], [1, 6, 1, 6], 0]
    assert np.flatnonzero(quarters > 128).tolist() == [bright]


def test_channels_that_the_file_does_not_call_alpha_hide_nothing() -> None:
    """EXTRA_SAMPLES 0: data of unknown meaning."""
    row = decode_image(tiff(half_and_hidden(np.uint8, 4, multiplied=False), extra_sample=0), 8, "rgb")[0]
    assert row[[0, 7]].tolist() == [[255, 255, 255], [255, 0, 0]]


def test_a_rare_kind_of_tiff_is_named_so() -> None:
    data = tiff(half_and_hidden(np.uint16, 2, multiplied=False), extra_sample=UNASSOCIATED)
    with pytest.raises(BadImage, match="unsupported: a rare kind of TIFF"):
        decode_image(data, 8, "rgb")


@pytest.mark.parametrize("extra", [ASSOCIATED, UNASSOCIATED])
def test_a_damaged_tiff_with_alpha_is_truncated(extra: int) -> None:
    for channels in (2, 4):
        data = tiff(half_and_hidden(np.uint8, channels, extra == ASSOCIATED), extra_sample=extra)
        with pytest.raises(BadImage) as refused:
            decode_image(data[:-20], 8, "rgb")
        assert refused.value.reason == "truncated"
