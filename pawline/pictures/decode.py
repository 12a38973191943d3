"""The only decoder: turns the bytes of an image file into upright uint8 pixels of a fixed size.

Training, evaluation and prediction all call `decode_image`, so the network gets the same pixels from a picture
everywhere. `files.read_regular_file` reads the files, never `cv2.imread`, which fills the missing part of a truncated
JPEG with grey and blocks on a FIFO.
"""

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from pawline.pictures.heif import decode_heif, heif_size, is_heif
from pawline.pictures.shrink import shrink

MAX_MEGAPIXELS = 64.0  # unless params say otherwise
# What the decoder may need: 16 bytes per pixel allowed, 1 GB for 64 megapixels. A PNG with 16 bits needs most, and a
# JPEG less than 2 bytes per pixel of its reduced size. But libjpeg keeps all coefficients of a progressive JPEG, hence:
COEFFICIENT_BYTES = 10  # at most, per pixel allowed
JPEG_REDUCTION = 8  # the largest: each side becomes an eighth
MAX_SIDE = 1_000_000  # libpng's limit; a little above it OpenCV raises instead of returning None
MIN_SIDE = 4
ORIENTATION = 0x0112  # the EXIF tag
JPEG_END = b"\xff\xd9"
THUMBNAIL_QUALITY = 78
TWELVE_BITS = 2**12 - 1
STRIP_PIXELS = 2**20  # that are laid over the background at a time
EXTRA_SAMPLES, BITS_PER_SAMPLE = 338, 258  # TIFF tags
ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA = 1, 2  # of EXTRA_SAMPLES: multiplied by alpha, and not

Pixels = NDArray[np.uint8]


def _configure_libraries() -> None:
    """Set options of Pillow and OpenCV that hold for the whole process."""
    Image.MAX_IMAGE_PIXELS = None  # Pillow only reads headers here, and `decode_image` has its own limit
    # A bad picture becomes a row with a reason; the libraries need not print a warning too.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)  # one picture per core is faster than all cores on one small picture


_configure_libraries()

# All reasons to leave an image out. A file always gets the same single reason.
REASONS = {
    "empty": "the file has no bytes",
    "not_an_image": "the content is of no known image format, whatever its name says",
    "unsupported": "a known image format that the decoder cannot read",
    "too_small": f"a side is shorter than {MIN_SIDE} pixels",
    "too_large": f"more pixels than prepare.max_megapixels allows, or more than {MAX_SIDE:,} on a side",
    "truncated": "the header is fine but the pixels are cut off or damaged",
    "unreadable": "the file could not be read, or its bytes changed since ingest",
    "conflicting_label": "the same bytes stand under two class names, so one of them is wrong",
}

# Stored in a model's card, since the pixels of another decoder may differ by a grey level.
DECODER = f"imdecode+area/2 opencv/{cv2.__version__}"

DECODABLE = {"JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "AVIF", "PPM", "JPEG2000", "HEIF"}
# Picture formats that Pillow does not know: (name, bytes, where they stand).
OTHER_FORMATS = (
    ("JPEG XL", b"\xff\x0a", 0),
    ("JPEG XL", b"\0\0\0\x0cJXL ", 0),
    ("Photoshop", b"8BPS", 0),
    ("DICOM", b"DICM", 128),
    ("OpenEXR", b"\x76\x2f\x31\x01", 0),
)
NEEDS_HEIF = "a HEIC picture: install the extra `pawline[heif]` (the package pi-heif) to decode it"


class BadImage(Exception):  # noqa: N818 - a fact about the data, not an error of the program
    """An image that must be left out: `reason` from REASONS, `detail` in words."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail or REASONS[reason]}")
        self.reason = reason
        self.detail = detail or REASONS[reason]


@dataclass(frozen=True)
class Header:
    """The claims of a file's header. `width` and `height` are pixels as stored, before any EXIF rotation."""

    format: str
    width: int
    height: int
    orientation: int = 1  # the EXIF orientation, 1 to 8; stays 1 where OpenCV applies the tag itself
    has_alpha: bool = False
    premultiplied: bool = False  # OpenCV's pixels are multiplied by their alpha already: some TIFFs
    deep: bool = False  # more than 8 bits per channel, in a format whose largest value OpenCV takes for 65,535
    white: int = 0  # the sample value that means white, where the file says so and it is not the usual one
    animated: bool = False  # the file has more frames or pages; only the first is used


def decode_image(
    data: bytes,
    image_size: int,
    color: str,
    aspect: str = "stretch",
    background: int = 255,
    bits: int | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    shrunk_from: int | None = None,
    deep_values: list[int] | None = None,
) -> Pixels:
    """Decode one picture. Returns uint8 (image_size, image_size, channels), upright by its EXIF tag,
    `channels` 1 for color "grayscale" and 3 (red, green, blue) for "rgb". Raises BadImage.

    aspect: how the picture becomes a square: "stretch" it, "crop" its middle, or "pad" it.
    background: grey level, 0 to 255, behind transparent pixels and around a padded picture.
    bits: how many of its 16 bits a picture with 16 bits per channel uses; None: see `_white`.
    max_megapixels: larger pictures are refused; a JPEG counts with the size at which it is decoded.
    shrunk_from: the side of the prepared pictures that a network sees smaller, with image_size pixels.
    deep_values: receives the largest value of a picture whose used bits had to be guessed.
    Uses the first frame of an animation; 16 bits per channel become 8; CMYK becomes RGB.
    """
    header = read_header(data)
    _refuse_too_many_pixels(data, header, max_megapixels)
    prepared_size = shrunk_from or image_size
    wanted = _Wanted(prepared_size, color, background, bits, max_megapixels)
    pixels = _decode_upright(data, header, wanted, deep_values)
    pixels = _fit(pixels, prepared_size, aspect, background)
    pixels = pixels[:, :, np.newaxis] if color == "grayscale" else pixels[:, :, ::-1].copy()
    return shrink(pixels, image_size) if shrunk_from else pixels


def safe_thumbnail(data: bytes, side: int) -> Pixels | None:
    """A thumbnail of a quarantined picture for people: uint8 (height, width, 3), red first, its longer side `side`
    pixels; None for a picture that cannot be decoded or is too large to decode safely.

    A picture that is too small is enlarged; in a truncated JPEG the missing part is grey.
    """
    try:
        header = read_header(data, min_side=1)
        _refuse_too_many_pixels(data, header, MAX_MEGAPIXELS)
        whole = data + JPEG_END if header.format == "JPEG" else data
        pixels = _decode_upright(whole, header, _Wanted(side, "rgb", background=255))
    except BadImage:
        return None
    return _fit_inside(pixels, side)[:, :, ::-1].copy()


def to_jpeg(pixels: Pixels) -> bytes:
    """The bytes of a JPEG for people. pixels: uint8 (height, width, channels), one channel or red, green, blue."""
    blue_first = np.ascontiguousarray(pixels[:, :, ::-1])  # one channel does not change
    _, data = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY])
    return data.tobytes()


def read_header(data: bytes, min_side: int = MIN_SIDE) -> Header:
    """Read format and size from the header only. Raises BadImage for a file that must not reach the decoder."""
    if not data:
        raise BadImage("empty")
    header = _jpeg_header(data) or _any_header(data)
    if header.format not in DECODABLE:
        raise BadImage("unsupported", f"{header.format} files cannot be decoded")
    if min(header.width, header.height) < min_side:
        raise BadImage("too_small", f"{header.width} x {header.height} pixels")
    if max(header.width, header.height) > MAX_SIDE:
        raise BadImage("too_large", f"{header.width} x {header.height} pixels, a side has at most {MAX_SIDE:,}")
    return header


def _refuse_too_many_pixels(data: bytes, header: Header, max_megapixels: float) -> None:
    size, limit = f"{header.width} x {header.height} pixels", int(max_megapixels * 1e6)
    advice = f"than prepare.max_megapixels ({max_megapixels:g}) allows; raise it, or make the picture smaller"
    if header.width * header.height <= limit:
        return
    if header.format != "JPEG":
        raise BadImage("too_large", f"{size}, more {advice}")
    if header.width * header.height > limit * JPEG_REDUCTION**2:
        raise BadImage("too_large", f"{size}, more than {JPEG_REDUCTION**2} times more {advice}")
    if _coefficient_bytes(data, header) > limit * COEFFICIENT_BYTES:
        raise BadImage("too_large", f"{size} in a progressive JPEG, which takes more memory {advice}")


@dataclass(frozen=True)
class _Wanted:
    """What the caller of the decoder asks for; see `decode_image`."""

    side: int
    color: str
    background: int
    bits: int | None = None
    max_megapixels: float = MAX_MEGAPIXELS


def _decode_upright(data: bytes, header: Header, wanted: _Wanted, deep_values: list[int] | None = None) -> Pixels:
    """Upright pixels, blue first, with sides of at least about twice the wanted where the file has so many."""
    if header.format == "HEIF":
        return _decode_heif(data, wanted)
    if header.has_alpha:
        return _decode_over(data, header, wanted, deep_values)
    flag = _decode_flag(header, wanted)
    if header.deep:
        return _decode_deep(data, header, flag, wanted.bits, deep_values)
    pixels = _imdecode(data, header, flag)
    if header.white:
        pixels = np.asarray(cv2.convertScaleAbs(pixels, alpha=255 / header.white))
    # OpenCV applies the EXIF tag of every format except AVIF.
    return _turn_upright(pixels, header.orientation) if header.format == "AVIF" else pixels


def _decode_heif(data: bytes, wanted: _Wanted) -> Pixels:
    try:
        pixels = decode_heif(data, wanted.max_megapixels * 1e6)
    except ImportError:
        raise BadImage("unsupported", NEEDS_HEIF) from None
    except Exception as error:  # libheif's errors have many types
        raise BadImage("truncated", f"the HEIC header is fine, the pixels are damaged: {error}") from None
    if pixels.shape[2:] == (4,):
        pixels = _lay_over(pixels, wanted.background, premultiplied=False, white=255, opaque=255)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR))
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)) if wanted.color == "grayscale" else pixels


def _decode_deep(
    data: bytes, header: Header, flag: int, bits: int | None, deep_values: list[int] | None
) -> Pixels:
    """Decode a picture with more than 8 bits per channel to 8 bits."""
    pixels = _imdecode(data, header, flag | cv2.IMREAD_ANYDEPTH)
    if pixels.dtype != np.uint16:
        return pixels
    white = _white(header, bits, int(pixels.max()), deep_values)
    if white == 65535 and not header.white:
        return _imdecode(data, header, flag)  # libpng and libtiff round each in their own way
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=255 / white))


def _white(header: Header, bits: int | None, largest: int, deep_values: list[int] | None) -> int:
    """The sample value that means white in a picture with 16 bits per channel.

    Cameras with 12 bits often store their values unscaled, so that the picture is nearly black: 16 grey levels remain
    of 4,096. Whoever does not say `bits` gets this: where no value reaches 4,096, the picture has 12 bits."""
    if bits:
        return int(2**bits - 1)
    if header.white:
        return header.white
    if deep_values is not None:
        deep_values.append(largest)
    return TWELVE_BITS if largest <= TWELVE_BITS else 65535


def _imdecode(data: bytes, header: Header, flag: int) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if pixels is None:
        raise BadImage("truncated", f"the {header.format} header is fine, the pixels cannot be decoded")
    return np.asarray(pixels)


def _decode_flag(header: Header, wanted: _Wanted) -> int:
    """The cv2.IMREAD_ flag. A JPEG is decoded at a half, quarter or eighth of its size, which is faster; the result
    keeps at least twice the wanted pixels, so that the area filter still averages, unless it would be too large."""
    spare = min(header.width, header.height) // (2 * wanted.side) if header.format == "JPEG" else 1
    scale = next(factor for factor in (8, 4, 2, 1) if factor <= max(spare, 1))
    while header.format == "JPEG" and header.width * header.height > wanted.max_megapixels * 1e6 * scale**2:
        scale *= 2
    shade = "GRAYSCALE" if wanted.color == "grayscale" else "COLOR"
    return int(getattr(cv2, f"IMREAD_{shade}" if scale == 1 else f"IMREAD_REDUCED_{shade}_{scale}"))


def _decode_over(data: bytes, header: Header, wanted: _Wanted, deep_values: list[int] | None) -> Pixels:
    """Decode a picture with an alpha channel over the background, so that transparent pixels stay hidden."""
    pixels = _imdecode(data, header, cv2.IMREAD_UNCHANGED)
    turned = header.format == "TIFF"  # libtiff has turned the picture already
    if turned and pixels.shape[2:] != (4,):  # OpenCV drops the alpha channel of a grayscale TIFF
        pixels = _pillow_pixels(data)
    if pixels.ndim == 2 or pixels.shape[2] != 4:  # the header claims an alpha channel, but the file has none
        pixels = _imdecode(data, header, cv2.IMREAD_COLOR)
    else:
        white, opaque = 255, 255
        if pixels.dtype == np.uint16:
            white = _white(header, wanted.bits, int(pixels[:, :, :3].max()), deep_values)
            opaque = white if pixels[:, :, 3].max() <= white else 65535
        pixels = _lay_over(pixels, wanted.background, header.premultiplied, white, opaque)
        pixels = pixels if turned else _turn_upright(pixels, header.orientation)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)) if wanted.color == "grayscale" else pixels


def _lay_over(pixels: NDArray[Any], background: int, premultiplied: bool, white: int, opaque: int) -> Pixels:
    """Lay pixels over a background: uint8 or uint16 (height, width, 4) to uint8 (height, width, 3).

    white, opaque: the values of the colours and of alpha that become 255.

    In strips, since the arithmetic takes 40 bytes per pixel."""
    height, width = pixels.shape[:2]
    over = np.empty((height, width, 3), np.uint8)
    rows = max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = pixels[top : top + rows]
        opacity = _to_eight_bits(strip[:, :, 3:], opaque) / np.float32(255)
        colors = _to_eight_bits(strip[:, :, :3], white) * (np.float32(1) if premultiplied else opacity)
        over[top : top + rows] = np.rint(np.minimum(colors + background * (1 - opacity), 255)).astype(np.uint8)
    return over


def _to_eight_bits(values: NDArray[Any], white: int) -> Pixels:
    if values.dtype == np.uint8:
        return values
    if white == 65535:
        return (values // 257).astype(np.uint8)
    return np.minimum(values.astype(np.uint32) * 255 // white, 255).astype(np.uint8)


def _pillow_pixels(data: bytes) -> Pixels:
    """Pixels of a TIFF as Pillow decodes them, which also turns them upright: uint8 (height, width, 4), blue first."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            straight = image.convert("LA") if image.mode == "La" else image
            return np.asarray(straight.convert("RGBA"))[:, :, [2, 1, 0, 3]]
    except Exception as error:  # Pillow raises many kinds of errors for damaged pixels
        raise BadImage("truncated", f"the TIFF header is fine, the pixels are damaged: {error}") from None


def _turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo EXIF orientation 2 to 8 (CIPA DC-008, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _fit(pixels: Pixels, side: int, aspect: str, background: int) -> Pixels:
    height, width = pixels.shape[:2]
    if aspect == "stretch":
        return _resize(pixels, side, side)
    if aspect == "crop":
        square = min(height, width)
        top, left = (height - square) // 2, (width - square) // 2
        return _resize(pixels[top : top + square, left : left + square], side, side)
    inner = _fit_inside(pixels, side)
    padded = np.full((side, side, *pixels.shape[2:]), background, np.uint8)
    top, left = (side - inner.shape[0]) // 2, (side - inner.shape[1]) // 2
    padded[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return padded


def _fit_inside(pixels: Pixels, side: int) -> Pixels:
    """Resize so that the longer side has `side` pixels."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    return _resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))


def _resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Shrink with an area filter, which averages the pixels of each new pixel; enlarge with a bilinear filter.

    OpenCV's area filter is fast for whole factors only. Scaled decoding leaves a JPEG two to six times too large. Then
    a bilinear resize to exactly twice the size, followed by the mean of 2 x 2 pixels, takes a quarter of the time and
    differs by 1.5 grey levels (benchmarks/decode.py). The area filter aliases where only one side shrinks, so the
    sides are resized one after the other.
    """
    old_height, old_width = pixels.shape[:2]
    if 2 * height <= old_height <= 6 * height and 2 * width <= old_width <= 6 * width:
        double = cv2.resize(pixels, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.resize(double, (width, height), interpolation=cv2.INTER_AREA))
    shrunk = cv2.resize(pixels, (min(old_width, width), min(old_height, height)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR))


def _jpeg_header(data: bytes) -> Header | None:
    """Walk the segments of a JPEG to its frame header (ITU T.81, B.2.2), 30 times faster than Pillow, which reads
    every tag. None where the bytes have no frame header."""
    if not data.startswith(b"\xff\xd8"):
        return None
    start = 2
    while start + 9 <= len(data) and data[start] == 0xFF:
        marker = data[start + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return Header(
                "JPEG",
                width=int.from_bytes(data[start + 7 : start + 9]),
                height=int.from_bytes(data[start + 5 : start + 7]),
            )
        start += 1 if marker == 0xFF else 2 + int.from_bytes(data[start + 2 : start + 4])  # 0xFF: a fill byte
    return None


def _coefficient_bytes(data: bytes, header: Header) -> int:
    """What libjpeg keeps of a JPEG with several scans, such as a progressive one: 2 bytes for each coefficient of the
    whole picture. 0 for a JPEG with one scan."""
    components: list[int] = []  # sampling factors, horizontal in the high half, vertical in the low half
    progressive, start = False, 2
    while start + 10 <= len(data) and data[start] == 0xFF:
        marker = data[start + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            components = list(data[start + 11 : start + 10 + 3 * data[start + 9] : 3])
            progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
        if marker == 0xDA:
            progressive = progressive or data[start + 4] < len(components)
            break
        start += 1 if marker == 0xFF else 2 + int.from_bytes(data[start + 2 : start + 4])
    if not progressive:
        return 0
    factors = [(max(1, factor >> 4), max(1, factor & 15)) for factor in components]
    largest = max(across for across, _ in factors) * max(down for _, down in factors)
    samples = sum(across * down for across, down in factors) / largest
    return int(2 * samples * header.width * header.height)


def _any_header(data: bytes) -> Header:
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format == "TIFF" and image.mode in ("F", "I"):
                raise BadImage("unsupported", "TIFF with 32 bits per sample")
            has_alpha = image.mode in ("RGBA", "LA", "La", "PA") or "transparency" in image.info
            return Header(
                image.format or "unknown",
                image.width,
                image.height,
                orientation=_orientation(image) if has_alpha or image.format == "AVIF" else 1,
                has_alpha=has_alpha,
                premultiplied=_is_premultiplied(image),
                deep=_bits_per_sample(image, data) > 8,
                white=_stated_white(image, data),
                # n_frames would walk through a whole GIF or TIFF to count the frames.
                animated=getattr(image, "is_animated", False),
            )
    except Image.UnidentifiedImageError:
        if data.startswith(b"\xff\xd8") or data[4:12] == b"ftypavif":
            raise BadImage("truncated", "the file ends before its header does") from None
        if is_heif(data):
            return _heif_header(data)
        if data[4:8] == b"ftyp":
            raise BadImage("unsupported", "a film or a camera's RAW picture; export it as JPEG or PNG") from None
        if _is_unknown_tiff(data):
            raise BadImage("unsupported", "a rare kind of TIFF; export it with 1, 3 or 4 channels") from None
        raise _not_an_image(data) from None
    except BadImage:
        raise
    except Exception as error:  # Pillow's plugins raise many kinds of errors for damaged headers
        raise BadImage("truncated", f"the header is damaged: {error}") from None


def _not_an_image(data: bytes) -> BadImage:
    """The problem of a file that Pillow does not know."""
    start = data[:200].lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        detail = "a pointer of Git LFS, not the picture itself; let Git LFS fetch it (git lfs pull)"
    elif start.startswith((b"<!doctype html", b"<html")):
        detail = "a web page, not a picture; download the picture again"
    elif not any(data):
        detail = "only zero bytes, as an interrupted copy or download leaves them; get the file again"
    elif kind := next((kind for kind, mark, place in OTHER_FORMATS if data.startswith(mark, place)), ""):
        return BadImage("unsupported", f"{kind} files cannot be decoded; export it as JPEG or PNG")
    else:
        detail = ""
    return BadImage("not_an_image", detail)


def _heif_header(data: bytes) -> Header:
    if not (size := heif_size(data)):
        raise BadImage("truncated", "the file ends before its header does, or the header is damaged")
    return Header("HEIF", *size)


def _is_unknown_tiff(data: bytes) -> bool:
    """Whether a TIFF has a whole header that names a kind of pixels unknown to Pillow."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    directory = int.from_bytes(data[4:8], order)
    num_tags = int.from_bytes(data[directory : directory + 2], order)
    if not data.startswith((b"II*\0", b"MM\0*")) or len(data) < directory + 2 + 12 * num_tags:
        return False
    try:
        TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    except Exception as error:  # Pillow raises many kinds of errors for damaged headers
        return "unknown pixel mode" in str(error)
    return False


def _bits_per_sample(image: Image.Image, data: bytes) -> int:
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(BITS_PER_SAMPLE, (8,))))  # type: ignore[attr-defined]  # a TiffImageFile
    if image.format == "PPM":
        return _largest_of_ppm(data).bit_length()
    if image.format == "JPEG2000":
        size = data.find(b"\xff\x51") + 2  # the segment with the sizes (ITU T.800, A.5.1)
        return (data[size + 38] & 0x7F) + 1 if len(data) > size + 38 else 8
    return 8


def _stated_white(image: Image.Image, data: bytes) -> int:
    if image.format == "PPM":
        largest = _largest_of_ppm(data)
        return largest if largest not in (255, 65535) else 0
    # OpenCV scales packed bits to 16 itself.
    return 65535 if image.format == "TIFF" and 8 < _bits_per_sample(image, data) < 16 else 0


def _largest_of_ppm(data: bytes) -> int:
    """The largest sample value, which such a file states as the fourth word; 255 for a bitmap, which does not."""
    words = re.sub(rb"#[^\n]*", b"", data[:2000]).split(maxsplit=4)
    usual = data[:2] in (b"P1", b"P4") or len(words) < 4 or not words[3].isdigit()
    return 255 if usual else min(max(int(words[3]), 1), 65535)


def _is_premultiplied(image: Image.Image) -> bool:
    """Whether OpenCV gives this picture's pixels multiplied by their alpha: libtiff does so for 8 bits per sample, and
    a file with associated alpha stores them so. Pillow decodes TIFFs without four samples, and divides by alpha."""
    if image.format != "TIFF" or image.mode != "RGBA":
        return False
    tags = image.tag_v2  # type: ignore[attr-defined]  # a TiffImageFile
    extra, bits = tags.get(EXTRA_SAMPLES, ()), tags.get(BITS_PER_SAMPLE, (8,))
    return ASSOCIATED_ALPHA in extra or (UNASSOCIATED_ALPHA in extra and max(bits) <= 8)


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode all pixels to look for a tag behind them
    return int(image.getexif().get(ORIENTATION, 1))
