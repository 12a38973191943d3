"""The decoder gives upright, antialiased pixels for every picture, and a reason for every file that it cannot use."""

import ast
import io
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image, TiffImagePlugin

from pawline.params.prepare import ImageForm
from pawline.pictures.decode import MAX_MEGAPIXELS, REASONS, BadImage, decode_image, read_header
from tests.conftest import encode, stripes
from tests.source import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns about damaged headers

Pixels = NDArray[np.uint8]

# How the pixels of an upright picture lie in a file with that EXIF orientation (CIPA DC-008, 4.6.4 A):
# tag 6 for instance says "row 0 is the right-hand side", so the picture is stored turned to the left.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


def quarters(width: int = 300, height: int = 200) -> Pixels:
    """uint8 (height, width, 3), red, green, blue: a picture whose four quarters differ in colour and in brightness."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (255, 0, 0)
    picture[: height // 2, width // 2 :] = (0, 255, 0)
    picture[height // 2 :, : width // 2] = (0, 0, 255)
    picture[height // 2 :, width // 2 :] = (255, 255, 255)
    return picture


def save(picture: Pixels, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form, **options)
    return buffer.getvalue()


def corners(pixels: Pixels) -> list[list[int]]:
    """The middle of each quarter, in the order of `quarters`, rounded more coarsely than the errors of JPEG."""
    low, high = pixels.shape[0] // 4, 3 * pixels.shape[0] // 4
    middles = pixels[[low, low, high, high], [low, high, low, high]]
    return [[round(int(value) / 15) * 15 for value in middle] for middle in middles]


def reason(data: bytes, image_size: int = 32, color: str = "rgb") -> str:
    with pytest.raises(BadImage) as refused:
        decode_image(data, image_size, color)
    assert str(refused.value) == f"{refused.value.reason}: {refused.value.detail}"
    return refused.value.reason


def test_rgb_has_three_channels_red_first() -> None:
    pixels = decode_image(save(quarters(), "PNG"), 32, "rgb")
    assert (pixels.shape, pixels.dtype) == ((32, 32, 3), np.uint8)
    assert corners(pixels) == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]


def test_grayscale_has_one_channel_weighted_by_bt601() -> None:
    pixels = decode_image(save(quarters(), "PNG"), 32, "grayscale")
    assert (pixels.shape, pixels.dtype) == ((32, 32, 1), np.uint8)
    # ITU-R BT.601: 0.299, 0.587 and 0.114 of 255.
    np.testing.assert_allclose(pixels[[8, 8, 24, 24], [8, 24, 8, 24], 0], [76.2, 149.7, 29.1, 255], atol=1)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_exif_orientation_becomes_upright(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](quarters()))
    data = save(stored, form, exif=exif, quality=95)
    for image_size in (16, 150):  # with and without decoding a JPEG at a smaller scale
        expected = corners(decode_image(save(quarters(), "PNG"), image_size, "rgb"))
        assert corners(decode_image(data, image_size, "rgb")) == expected
    gray = decode_image(data, 16, "grayscale")[[4, 4, 12, 12], [4, 12, 4, 12], 0]
    np.testing.assert_allclose(gray.astype(int), [76, 150, 29, 255], atol=4)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("PNG", {}),
        ("WEBP", {"quality": 95}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
        ("GIF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {"quality": 95}),
        ("PPM", {}),
        ("JPEG2000", {}),
    ],
)
def test_each_format_gives_the_same_pixels_and_is_refused_when_truncated(
    form: str, options: dict[str, object]
) -> None:
    picture = cv2.GaussianBlur(stripes(True, 1, 90, 60), (0, 0), 2).astype(np.uint8)
    data = save(picture, form, **options)
    assert read_header(data).format == form
    assert (read_header(data).width, read_header(data).height) == (90, 60)
    expected = decode_image(save(picture, "PNG"), 24, "rgb").astype(int)
    assert np.abs(decode_image(data, 24, "rgb") - expected).mean() < 3
    assert decode_image(data, 24, "grayscale").shape == (24, 24, 1)
    for length in np.linspace(1, len(data) - 3, 40, dtype=int):
        assert reason(data[:length]) in ("truncated", "not_an_image"), length


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 95, "subsampling": 0}])
@pytest.mark.parametrize("image_size", [16, 64])
def test_a_jpeg_cut_at_any_byte_is_truncated(options: dict[str, object], image_size: int) -> None:
    """Covers full and scaled decoding. The last two bytes are the end mark, which holds no pixels."""
    data = save(stripes(True, 3, 300, 200), "JPEG", **options)
    decode_image(data, image_size, "grayscale")
    for length in [*range(3, 700, 97), *np.linspace(700, len(data) - 3, 40, dtype=int)]:
        assert reason(data[:length], image_size, "grayscale") == "truncated", length


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (b"These are words in a file called cat.jpg.\n" * 50, "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image"),
        (b"\0" * 4096, "not_an_image"),
        (b"PK\x03\x04" + bytes(500), "not_an_image"),
        (b"\xff\xd8", "truncated"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "truncated"),
        (b"\xff\xd8" + b"\xff" * 1000, "truncated"),
        (b"\xff\xd8\xff\xe0\x00\x00" * 100, "truncated"),
        (encode(stripes(True, 1, 40, 3), ".png"), "too_small"),
        (encode(stripes(True, 1, 1, 1), ".jpg"), "too_small"),
        (save(stripes(True, 1), "PCX"), "unsupported"),
        (save(stripes(True, 1), "ICO"), "unsupported"),
    ],
)
def test_each_unusable_file_has_its_reason(data: bytes, expected: str) -> None:
    assert reason(data) == expected


def test_the_smallest_picture_allowed_is_enlarged_bilinearly() -> None:
    ramp = np.tile(np.array([0, 80, 160, 240], np.uint8), (4, 1))
    row = decode_image(encode(ramp, ".png"), 16, "grayscale")[8, :, 0]
    # New pixel i lies at position (i + 0.5) / 4 - 0.5 of the old pixels, whose values rise in steps of 80.
    expected = np.clip((np.arange(16) + 0.5) / 4 - 0.5, 0, 3) * 80
    np.testing.assert_allclose(row, expected, atol=1)


def jpeg_that_claims(width: int, height: int) -> bytes:
    data = bytearray(encode(stripes(True, 1)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def progressive_that_claims(width: int, height: int) -> bytes:
    data = bytearray(save(stripes(True, 1), "JPEG", progressive=True, subsampling=0))
    frame = data.index(b"\xff\xc2")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("claim", "width", "height", "what"),
    [
        (
            png_that_claims,
            20000,
            20000,
            "20000 x 20000 pixels, more than prepare.max_megapixels (64) allows; raise it",
        ),
        (
            png_that_claims,
            8001,
            8000,
            "8001 x 8000 pixels, more than prepare.max_megapixels (64) allows; raise it",
        ),
        (
            jpeg_that_claims,
            65500,
            65500,
            "65500 x 65500 pixels, more than 64 times more than prepare.max_megapixels",
        ),
        (
            progressive_that_claims,
            12000,
            11000,
            "12000 x 11000 pixels in a progressive JPEG, which takes more memory",
        ),
    ],
)
def test_a_huge_claimed_size_is_refused_without_decoding(
    claim: object,
    width: int,
    height: int,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    assert callable(claim)
    data = claim(width, height)
    monkeypatch.setattr("pawline.pictures.decode.cv2.imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(BadImage, match=re.escape(f"too_large: {what}")):
        decode_image(data, 32, "rgb")
    assert (read_header(data).width, read_header(data).height) == (width, height)  # the index shows the size
    assert list(recwarn) == []


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("across", [True, False])
def test_a_side_too_long_for_opencv_is_refused(form: str, across: bool) -> None:
    for side, allowed in ((1_000_000, True), (1_000_001, False), (1_100_000, False)):
        data = save(np.zeros((4, side) if across else (side, 4), np.uint8), form)
        if allowed:
            assert decode_image(data, 16, "grayscale").shape == (16, 16, 1)
        else:
            assert reason(data) == "too_large"


def test_the_size_is_not_read_from_the_thumbnail() -> None:
    data = encode(stripes(True, 1, 200, 100))
    thumbnail = encode(stripes(True, 1, 20, 10))
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    header = read_header(data[:2] + segment + b"\xff" + data[2:])  # with a fill byte, which the standard allows
    assert (header.format, header.width, header.height) == ("JPEG", 200, 100)


def test_the_largest_allowed_size_is_accepted() -> None:
    assert 8000 * 8000 == MAX_MEGAPIXELS * 1e6 == ImageForm.model_fields["max_megapixels"].default * 1e6
    assert reason(png_that_claims(8000, 8000)) == "truncated"


@pytest.fixture
def flags(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The flags of all calls of OpenCV's decoder so far."""
    found: list[int] = []
    decode = cv2.imdecode
    monkeypatch.setattr(
        "pawline.pictures.decode.cv2.imdecode", lambda data, flag: found.append(flag) or decode(data, flag)
    )
    return found


def test_a_jpeg_above_the_limit_is_decoded_smaller(flags: list[int]) -> None:
    """Here the limit stands for 64 megapixels, the picture for a panorama or a phone with 200 megapixels."""
    data = save(quarters(1200, 800), "JPEG", quality=95)  # 0.96 megapixels
    expected = corners(decode_image(data, 900, "rgb"))
    for limit in (1, 0.5, 0.1, 0.02):
        assert corners(decode_image(data, 900, "rgb", max_megapixels=limit)) == expected
    assert flags == [
        cv2.IMREAD_COLOR, cv2.IMREAD_COLOR, cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_COLOR_4,
        cv2.IMREAD_REDUCED_COLOR_8,
    ]  # fmt: skip
    with pytest.raises(BadImage, match="too_large"):
        decode_image(data, 900, "rgb", max_megapixels=0.0149)


def test_a_progressive_jpeg_above_the_limit_may_take_10_bytes_per_pixel_allowed() -> None:
    """A coefficient takes 2 bytes; with subsampled colours a pixel has 1.5 of them, else 3."""
    for subsampling, smallest in ((2, 0.96 * 3 / 10), (0, 0.96 * 6 / 10)):
        data = save(quarters(1200, 800), "JPEG", progressive=True, subsampling=subsampling)
        decode_image(data, 64, "rgb", max_megapixels=smallest * 1.001)
        with pytest.raises(BadImage, match="in a progressive JPEG"):
            decode_image(data, 64, "rgb", max_megapixels=smallest * 0.999)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP", "TIFF", "AVIF", "GIF"])
def test_the_param_raises_the_limit_of_every_other_format(form: str) -> None:
    data = save(quarters(), form)
    with pytest.raises(BadImage, match=r"too_large: 300 x 200 pixels, more than prepare.max_megapixels \(0.05\)"):
        decode_image(data, 16, "rgb", max_megapixels=0.05)
    decode_image(data, 16, "rgb", max_megapixels=0.06)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_pixel_becomes_eight_bits(mode: str) -> None:
    gradient = Image.linear_gradient("L").resize((64, 64))
    form = "JPEG" if mode == "CMYK" else "PNG"
    picture = (
        Image.fromarray(np.asarray(gradient).astype(np.uint16) * 257) if mode == "I;16" else gradient.convert(mode)
    )
    buffer = io.BytesIO()
    picture.save(buffer, form)
    for color, channels in (("grayscale", 1), ("rgb", 3)):
        pixels = decode_image(buffer.getvalue(), 8, color)
        assert (pixels.shape, pixels.dtype) == ((8, 8, channels), np.uint8)
        means = pixels.mean(axis=(1, 2))
        assert (np.diff(means) > 10).all(), "dark to bright from top to bottom"
        assert means[0] < 40
        assert means[-1] > 210


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_of_several_frames_or_pages_is_used(form: str) -> None:
    data = frames(form, 3)
    assert read_header(data).animated
    assert decode_image(data, 8, "grayscale").max() < 10, "the first frame is black, the others are not"
    assert not read_header(frames(form, 1)).animated


@pytest.mark.parametrize("form", ["GIF", "TIFF"])
def test_frames_are_not_counted(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile file can hold millions of frames."""
    seeks = []
    for opener in (GifImagePlugin.GifImageFile, TiffImagePlugin.TiffImageFile):
        seek = opener._seek
        monkeypatch.setattr(opener, "_seek", lambda *args, seek=seek: seeks.append(args) or seek(*args))
    assert read_header(frames(form, 200)).animated
    assert len(seeks) <= 4


def frames(form: str, count: int) -> bytes:
    """A black frame, then brighter frames, each different from the frame before."""
    first, *more = [Image.new("RGB", (16, 16), (level, level, level)) for level in np.arange(count) * 97 % 200]
    buffer = io.BytesIO()
    first.save(buffer, form, **({"save_all": True, "append_images": more} if more else {}))
    return buffer.getvalue()


def test_shrinking_averages_a_checkerboard_to_mid_gray() -> None:
    board = (np.indices((128, 128)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = decode_image(encode(board, ".png"), 16, "grayscale")
    assert set(np.unique(pixels)) <= {127, 128}


@pytest.mark.parametrize("shape", [(20, 1000), (1000, 20)])
def test_a_side_that_shrinks_is_averaged_although_the_other_grows(shape: tuple[int, int]) -> None:
    """Stripes of one pixel across the long side: sampling would give black and white pixels."""
    picture = (np.indices(shape)[int(np.argmax(shape))] % 2 * 255).astype(np.uint8)
    pixels = decode_image(encode(picture, ".png"), 50, "grayscale")
    assert set(np.unique(pixels)) <= {127, 128}


@pytest.mark.parametrize("image_size", [50, 64])
def test_scaled_decoding_stays_close_to_a_full_decode_with_an_area_filter(image_size: int) -> None:
    rng = np.random.default_rng(5)
    picture = cv2.GaussianBlur(stripes(True, 5, 500, 375), (0, 0), 2.5) + rng.normal(0, 12, (375, 500, 3))
    data = encode(picture.clip(0, 255).astype(np.uint8))
    full = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    area = cv2.resize(full, (image_size, image_size), interpolation=cv2.INTER_AREA).astype(int)
    error = np.abs(decode_image(data, image_size, "grayscale")[:, :, 0] - area).mean()
    bilinear_error = np.abs(cv2.resize(full, (image_size, image_size)) - area).mean()
    assert error < 1.5
    assert error < bilinear_error / 4


def test_a_jpeg_is_decoded_no_larger_than_needed(flags: list[int]) -> None:
    """The decoder keeps at least twice the wanted pixels for the area filter."""
    for side in (127, 128, 255, 256, 512):
        decode_image(encode(stripes(True, 1, side, side)), 32, "grayscale")
    decode_image(encode(stripes(True, 1, 512, 512), ".png"), 32, "grayscale")
    assert flags == [
        cv2.IMREAD_GRAYSCALE,
        cv2.IMREAD_REDUCED_GRAYSCALE_2,
        cv2.IMREAD_REDUCED_GRAYSCALE_2,
        cv2.IMREAD_REDUCED_GRAYSCALE_4,
        cv2.IMREAD_REDUCED_GRAYSCALE_8,
        cv2.IMREAD_GRAYSCALE,
    ]


def test_every_reason_is_listed_and_used() -> None:
    reasons = set()
    for file in (ROOT / "pawline").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "BadImage":
                if isinstance(node.args[0], ast.Attribute) and node.args[0].attr == "reason":
                    continue  # a copy of another one
                assert isinstance(node.args[0], ast.Constant), f"{file}:{node.lineno}: no literal reason"
                reasons.add(node.args[0].value)
    assert reasons == set(REASONS)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_damaged_bytes_give_pixels_or_a_reason_and_never_a_crash(form: str) -> None:
    rng = np.random.default_rng(6)
    whole = np.frombuffer(save(stripes(True, 6, 60, 40), form), np.uint8)
    for _ in range(60):
        data = whole.copy()
        # Half of the changes hit the first bytes, which hold the header.
        places = rng.integers(len(data) if rng.random() < 0.5 else 64, size=rng.integers(1, 6))
        data[places] = rng.integers(256, size=len(places))
        try:
            assert decode_image(data.tobytes(), 16, "rgb").shape == (16, 16, 3)
        except BadImage as bad:
            assert bad.reason in REASONS
