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
MIN_SIDE = 4

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
    "too_large": f"more than {MAX_PIXELS:,} pixels",
    "truncated": "the header is fine but the pixels are cut off or damaged",
    "unreadable": "the operating system would not give the bytes, or not those seen at ingest",
    "conflicting_label": "the same bytes stand under two class names, so one of them is wrong",
}

# Written on a model's card: pixels from another decoder may differ by a grey level.
DECODER = f"imdecode+area/1 opencv/{cv2.__version__}"

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


def decode_image(data: bytes, image_size: int, color: str) -> NDArray[np.uint8]:
    """Decode one picture. Returns uint8 (image_size, image_size, channels), upright by its EXIF tag,
    `channels` 1 for color "grayscale" and 3 (red, green, blue) for "rgb". Raises BadImage.

    The picture is stretched to a square. Enlarging is bilinear; shrinking averages every pixel that
    falls into the new one (area filter), because plain bilinear sampling aliases.
    """
    header = read_header(data)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _decode_flag(header, image_size, color))
    if pixels is None:
        raise BadImage("truncated", f"the {header.format} header is fine, the pixels cannot be decoded")
    pixels = _resize(np.asarray(pixels, np.uint8), image_size)
    return pixels[:, :, np.newaxis] if color == "grayscale" else pixels[:, :, ::-1].copy()


def read_header(data: bytes) -> Header:
    """Format and size from the header alone. Raises BadImage for what must not reach the decoder."""
    if not data:
        raise BadImage("empty")
    header = _jpeg_header(data) or _any_header(data)
    if header.format not in DECODABLE:
        raise BadImage("unsupported", f"{header.format} files cannot be decoded")
    if min(header.width, header.height) < MIN_SIDE:
        raise BadImage("too_small", f"{header.width} x {header.height} pixels")
    if header.width * header.height > MAX_PIXELS:
        raise BadImage("too_large", f"{header.width} x {header.height} pixels, at most {MAX_PIXELS:,} fit")
    return header


def _decode_flag(header: Header, image_size: int, color: str) -> int:
    """JPEG can be decoded at a half, quarter or eighth of its size for less work; the result keeps at
    least twice the wanted pixels, so that the area filter still has something to average."""
    spare = min(header.width, header.height) // (2 * image_size) if header.format == "JPEG" else 1
    scale = next(factor for factor in (8, 4, 2, 1) if factor <= max(spare, 1))
    shade = "GRAYSCALE" if color == "grayscale" else "COLOR"
    return int(getattr(cv2, f"IMREAD_{shade}" if scale == 1 else f"IMREAD_REDUCED_{shade}_{scale}"))


def _resize(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Stretch to a square. In two steps, because OpenCV's area filter aliases where only one side shrinks."""
    height, width = pixels.shape[:2]
    pixels = cv2.resize(pixels, (min(width, side), min(height, side)), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


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
            return Header(image.format or "unknown", image.width, image.height)
    except Image.UnidentifiedImageError:
        if data.startswith(b"\xff\xd8"):
            raise BadImage("truncated", "a JPEG that ends before its frame header") from None
        raise BadImage("not_an_image") from None
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged headers
        raise BadImage("truncated", f"the header is damaged: {error}") from None
