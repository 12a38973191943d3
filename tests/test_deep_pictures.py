"""A picture with more than 8 bits per channel keeps its brightness, also where it uses 12 of its 16 bits."""

import cv2
import numpy as np
import pytest

from pawline.pictures.decode import decode_image
from pawline.prepare import _say_guessed_bits
from tests.conftest import encode
from tests.rare_pictures import tiff

RAMP = np.linspace(0, 1, 64)[None].repeat(64, axis=0)  # black on the left, white on the right


def ramp(white: int, channels: int) -> np.ndarray:
    gray = np.rint(RAMP * white).astype(np.uint16)
    return gray if channels == 1 else np.stack([gray] * 3, axis=2)


def transparent(white: int) -> np.ndarray:
    """With an alpha channel of 16 bits, opaque."""
    return np.dstack([ramp(white, 3), np.full((64, 64), 65535, np.uint16)])


def pgm(white: int, stated: int) -> bytes:
    kind = ">u2" if stated > 255 else "u1"
    return b"P5\n# made by hand\n64 64\n%d\n" % stated + np.rint(RAMP * white).astype(kind).tobytes()


def assert_from_black_to_white(data: bytes, levels: int = 4096, **wanted: int) -> None:
    for color in ("grayscale", "rgb"):
        row = decode_image(data, 64, color, **wanted)[32, :, 0].astype(int)  # type: ignore[arg-type]
        np.testing.assert_allclose(row, np.linspace(0, 255, 64), atol=2 + 128 / levels)


@pytest.mark.parametrize("white", [4095, 65535])
@pytest.mark.parametrize("suffix", [".png", ".tiff", ".jp2", ".ppm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_twelve_bits_in_a_file_of_sixteen_become_black_to_white(white: int, suffix: str, channels: int) -> None:
    suffix = ".pgm" if (suffix, channels) == (".ppm", 1) else suffix
    assert_from_black_to_white(encode(ramp(white, channels), suffix))


@pytest.mark.parametrize("white", [4095, 65535])
def test_twelve_bits_beside_an_alpha_channel_become_black_to_white(white: int) -> None:
    assert_from_black_to_white(encode(transparent(white), ".png"))
    assert_from_black_to_white(tiff(transparent(white), extra_sample=2))


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_the_bits_of_the_camera_can_be_said(bits: int, suffix: str) -> None:
    assert_from_black_to_white(encode(ramp(2**bits - 1, 1), suffix), bits=bits)


def test_sixteen_bits_as_they_are_can_be_said() -> None:
    assert decode_image(encode(ramp(4095, 1), ".png"), 64, "grayscale", bits=16).max() == 15


@pytest.mark.parametrize("largest", [15, 100, 255, 1000, 1023, 4095, 65535])
def test_a_file_that_states_its_largest_value_is_taken_at_its_word(largest: int) -> None:
    assert_from_black_to_white(pgm(largest, largest), levels=largest)
    if largest > 255:  # a dark picture of a camera that states its bits stays dark
        half = decode_image(pgm(largest // 2, largest), 64, "grayscale")
        assert int(half.max()) == pytest.approx(127.5, abs=1)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_give_the_pixels_of_before(suffix: str) -> None:
    noise = np.random.default_rng(1).integers(0, 65536, (64, 64, 3)).astype(np.uint16)
    data = encode(noise, suffix)
    plain = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    np.testing.assert_array_equal(decode_image(data, 64, "rgb"), plain)


@pytest.mark.parametrize(
    ("largest", "line"),
    [
        ({}, ""),
        ({"a.png": 65535, "b.png": 20000}, ""),
        (
            {"b.png": 4095, "a.png": 3000, "c.png": 60000},
            "2 of 3 pictures with 16 bits per channel (such as a.png) have no value above 4,095, so they were read as "
            "12-bit pictures; set prepare.bits to the bits of the camera, or to 16 to take the values as they are",
        ),
        (
            {"a.png": 9000, "b.png": 16383},
            "the largest value of all 2 pictures with 16 bits per channel is 16,383, so they may have 14 bits and look "
            "too dark; set prepare.bits to the bits of the camera, or to 16 to take the values as they are",
        ),
        (
            {"a.png": 1000},
            "1 of 1 pictures with 16 bits per channel (such as a.png) have no value above 4,095, so they were read as "
            "12-bit pictures; the largest value of all 1 pictures with 16 bits per channel is 1,000, so they may have "
            "10 bits and look too dark; "
            "set prepare.bits to the bits of the camera, or to 16 to take the values as they are",
        ),
    ],
)
def test_what_was_guessed_is_said_in_one_line(
    largest: dict[str, int], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _say_guessed_bits(largest)
    assert capsys.readouterr().err == (f"pawline: prepare: {line}\n" if line else "")
