"""The one way an image is read: bytes in, upright uint8 pixels of one size out.

Training, evaluation and prediction all come through `decode_image`, so what the network sees of a
picture never depends on who asks. Files are read by `files.read_regular_file`, never by `cv2.imread`,
which paints what is missing of a truncated JPEG grey and blocks on a FIFO.
"""

import io
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_PIXELS = 64_000_000  # a 28 KB JPEG can claim 20,000 x 20,000 pixels and take 2.4 GB to refuse
MAX_SIDE = 1_000_000  # libpng's limit; a little above it OpenCV raises instead of returning None
MIN_SIDE = 4
ORIENTATION = 0x0112  # the EXIF tag
JPEG_END = b"\xff\xd9"
THUMBNAIL_QUALITY = 78

Pixels = NDArray[np.uint8]

Image.MAX_IMAGE_PIXELS = None  # Pillow only reads headers here, and `read_header` has its own limit
# A bad picture is a row with a reason, not lines on the terminal too.
warnings.filterwarnings("ignore", module=r"PIL\.")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# The closed list of why an image is left out. One file, one reason, always the same.
REASONS = {
    "empty": "the file has no bytes",
    "not_an_image": "the content is of no known image format, whatever its name says",
    "unsupported": "a known image format that the decoder cannot read",
    "too_small": f"a side is shorter than {MIN_SIDE} pixels",
    "too_large": f"more than {MAX_PIXELS:,} pixels, or {MAX_SIDE:,} on a side",
    "truncated": "the header is fine but the pixels are cut off or damaged",
    "unreadable": "the operating system would not give the bytes, or not those seen at ingest",
    "conflicting_label": "the same bytes stand under two class names, so one of them is wrong",
}

# Written on a model's card: pixels from another decoder may differ by a grey level.
DECODER = f"imdecode+area/2 opencv/{cv2.__version__}"

DECODABLE = {"JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "AVIF", "PPM", "JPEG2000"}


class BadImage(Exception):  # noqa: N818 - a finding about the data, not a failure of the program
    """An image that must be left out: `reason` from REASONS, `detail` in words."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail or REASONS[reason]}")
        self.reason = reason
        self.detail = detail or REASONS[reason]


@dataclass(frozen=True)
class Header:
    """What the first bytes claim. `width` and `height` are pixels as stored, before any EXIF rotation."""

    format: str
    width: int
    height: int
    orientation: int = 1  # EXIF's, 1 to 8; left at 1 where OpenCV reads the tag by itself
    has_alpha: bool = False
    animated: bool = False  # more frames, or pages, follow; the first one is taken


def decode_image(
    data: bytes, image_size: int, color: str, aspect: str = "stretch", background: int = 255
) -> Pixels:
    """Decode one picture. Returns uint8 (image_size, image_size, channels), upright by its EXIF tag,
    `channels` 1 for color "grayscale" and 3 (red, green, blue) for "rgb". Raises BadImage.

    aspect: how the picture becomes a square: "stretch" it, "crop" its middle, or "pad" it.
    background: grey level, 0 to 255, behind transparent pixels and around a padded picture.
    Of an animation the first frame is taken; 16 bits per channel become 8; CMYK becomes RGB.
    """
    pixels = _decode_upright(data, read_header(data), image_size, color, background)
    pixels = _fit(pixels, image_size, aspect, background)
    return pixels[:, :, np.newaxis] if color == "grayscale" else pixels[:, :, ::-1].copy()


def glimpse(data: bytes, side: int) -> Pixels | None:
    """What can safely be shown of a picture that was left out, for people: uint8 (height, width, 3), red first,
    the longer side `side` pixels; None where that is nothing.

    One that is too small is enlarged, of a JPEG that was cut off the part that there is comes over grey, and
    one that is too large is not decoded.
    """
    try:
        header = read_header(data, min_side=1)
        whole = data + JPEG_END if header.format == "JPEG" else data
        pixels = _decode_upright(whole, header, side, "rgb", background=255)
    except BadImage:
        return None
    return _fit_inside(pixels, side)[:, :, ::-1].copy()


def to_jpeg(pixels: Pixels) -> bytes:
    """For people to look at. pixels: uint8 (height, width, channels), one channel or red, green, blue."""
    blue_first = np.ascontiguousarray(pixels[:, :, ::-1])  # one channel stays as it is
    _, data = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY])
    return data.tobytes()


def read_header(data: bytes, min_side: int = MIN_SIDE) -> Header:
    """Format and size from the header alone. Raises BadImage for what must not reach the decoder."""
    if not data:
        raise BadImage("empty")
    header = _jpeg_header(data) or _any_header(data)
    if header.format not in DECODABLE:
        raise BadImage("unsupported", f"{header.format} files cannot be decoded")
    if min(header.width, header.height) < min_side:
        raise BadImage("too_small", f"{header.width} x {header.height} pixels")
    if header.width * header.height > MAX_PIXELS:
        raise BadImage("too_large", f"{header.width} x {header.height} pixels, at most {MAX_PIXELS:,} fit")
    if max(header.width, header.height) > MAX_SIDE:
        raise BadImage("too_large", f"{header.width} x {header.height} pixels, a side has at most {MAX_SIDE:,}")
    return header


def _decode_upright(data: bytes, header: Header, side: int, color: str, background: int) -> Pixels:
    """Blue first; at least about twice `side` pixels where the file has them."""
    if header.has_alpha:
        return _decode_over(data, header, color, background)
    pixels = _imdecode(data, header, _decode_flag(header, side, color))
    # AVIF is the one format whose tag OpenCV does not honour.
    return _turn_upright(pixels, header.orientation) if header.format == "AVIF" else pixels


def _imdecode(data: bytes, header: Header, flag: int) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if pixels is None:
        raise BadImage("truncated", f"the {header.format} header is fine, the pixels cannot be decoded")
    return np.asarray(pixels)


def _decode_flag(header: Header, image_size: int, color: str) -> int:
    """JPEG can be decoded at a half, quarter or eighth of its size for less work; the result keeps at
    least twice the wanted pixels, so that there is still something to average."""
    spare = min(header.width, header.height) // (2 * image_size) if header.format == "JPEG" else 1
    scale = next(factor for factor in (8, 4, 2, 1) if factor <= max(spare, 1))
    shade = "GRAYSCALE" if color == "grayscale" else "COLOR"
    return int(getattr(cv2, f"IMREAD_{shade}" if scale == 1 else f"IMREAD_REDUCED_{shade}_{scale}"))


def _decode_over(data: bytes, header: Header, color: str, background: int) -> Pixels:
    """A picture with an alpha channel, composed over the background: what was transparent stays hidden."""
    pixels = _imdecode(data, header, cv2.IMREAD_UNCHANGED)
    if pixels.dtype == np.uint16:
        pixels = (pixels // 257).astype(np.uint8)
    if pixels.ndim == 2 or pixels.shape[2] != 4:  # the header promised more than the file holds
        pixels = _imdecode(data, header, cv2.IMREAD_COLOR)
    else:
        opacity = pixels[:, :, 3:] / np.float32(255)
        pixels = np.rint(pixels[:, :, :3] * opacity + background * (1 - opacity)).astype(np.uint8)
        if header.format != "TIFF":  # turned by libtiff already
            pixels = _turn_upright(pixels, header.orientation)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)) if color == "grayscale" else pixels


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
    """The longer side becomes `side` pixels."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    return _resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))


def _resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Shrinking averages the pixels that fall into each new one (area filter); enlarging is bilinear.

    OpenCV's area filter is fast for whole factors only. Where the picture is two to six times too large,
    as JPEG's scaled decoding leaves it, bilinear to exactly twice the size and then the mean of 2 x 2 takes a
    quarter of the time and differs from it by 1.5 grey levels (benchmarks/decode.py). Where only one side
    shrinks, the area filter aliases, so the sides are done one after the other.
    """
    has_height, has_width = pixels.shape[:2]
    if 2 * height <= has_height <= 6 * height and 2 * width <= has_width <= 6 * width:
        twice = cv2.resize(pixels, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.resize(twice, (width, height), interpolation=cv2.INTER_AREA))
    shrunk = cv2.resize(pixels, (min(has_width, width), min(has_height, height)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR))


def _jpeg_header(data: bytes) -> Header | None:
    """Walk a JPEG's segments to its frame header (ITU T.81, B.2.2); 30 times faster than Pillow, which
    reads every tag on the way. None when there is none to find."""
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return Header(
                "JPEG",
                width=int.from_bytes(data[at + 7 : at + 9]),
                height=int.from_bytes(data[at + 5 : at + 7]),
            )
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])  # 0xFF: a fill byte
    return None


def _any_header(data: bytes) -> Header:
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format == "TIFF" and image.mode in ("F", "I"):
                raise BadImage("unsupported", "TIFF with 32 bits per sample")
            has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            return Header(
                image.format or "unknown",
                image.width,
                image.height,
                orientation=_orientation(image) if has_alpha or image.format == "AVIF" else 1,
                has_alpha=has_alpha,
                # Not n_frames, which walks through all of a GIF or TIFF to count them.
                animated=getattr(image, "is_animated", False),
            )
    except Image.UnidentifiedImageError:
        if data.startswith(b"\xff\xd8") or data[4:12] == b"ftypavif":
            raise BadImage("truncated", "the file ends before its header does") from None
        if data[4:8] == b"ftyp":
            raise BadImage("unsupported", "a HEIC picture or a film; export it as JPEG or PNG") from None
        raise BadImage("not_an_image") from None
    except BadImage:
        raise
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged headers
        raise BadImage("truncated", f"the header is damaged: {error}") from None


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode all of the pixels to look for a tag behind them
    return int(image.getexif().get(ORIENTATION, 1))
