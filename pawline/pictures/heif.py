"""HEIC pictures, as phones write them. The optional package pi-heif decodes them; reading their header needs none.

The header is read here, so that the index of a source does not depend on what is installed.
"""

import numpy as np
from numpy.typing import NDArray

BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}  # ISO/IEC 23008-12, annex B
SIZE_PROPERTY = b"ispe"  # of an image item: width and height, 4 bytes each
SEARCHED_BYTES = 2**20  # the properties stand before the pixels


def is_heif(data: bytes) -> bool:
    """Whether the file's main brand or one of its compatible brands is a HEIC one, and none is AVIF."""
    if data[4:8] != b"ftyp":
        return False
    length = min(int.from_bytes(data[:4]), 1024)
    brands = {data[8:12], *(data[place : place + 4] for place in range(16, length, 4))}
    return bool(brands & BRANDS) and not brands & {b"avif", b"avis", b"crx "}


def heif_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) as stored, before rotation: of the largest image in the file, since phones store it in tiles,
    with a thumbnail. None if the header is damaged or cut off."""
    sizes, start = [], 0
    while (start := data.find(SIZE_PROPERTY, start, SEARCHED_BYTES)) >= 0:
        start += 8  # the name, then version and flags
        sizes.append((int.from_bytes(data[start : start + 4]), int.from_bytes(data[start + 4 : start + 8])))
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def heif_decoder() -> str | None:
    """Name and version of the decoder; None if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # takes longer to load than a picture to predict

    try:
        return f"pi-heif/{version('pi-heif')}"
    except PackageNotFoundError:
        return None


def decode_heif(data: bytes, max_pixels: float) -> NDArray[np.uint8]:
    """Decode to uint8 (height, width, 3 or 4), blue first, upright: libheif applies the file's own rotation, and the
    EXIF tag, which repeats it, is ignored. Raises ImportError without the package, ValueError and others for damage."""
    import pi_heif

    file = pi_heif.open_heif(data, convert_hdr_to_8bit=True, bgr_mode=True)
    if file.size[0] * file.size[1] > max_pixels:
        raise ValueError(f"the header states a smaller size than {file.size[0]} x {file.size[1]} pixels")
    return np.array(file)  # a copy: pi-heif frees its own pixels with the file
