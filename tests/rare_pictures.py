"""Pictures that few programs write: TIFFs with any channels, bits and tags."""

import struct

import numpy as np
from numpy.typing import NDArray

SHORT, LONG = 3, 4  # types of TIFF values
GRAY, RGB = 1, 2  # photometric interpretation: which colours the first channels mean


def tiff(pixels: NDArray[np.uint8] | NDArray[np.uint16], **tags: int) -> bytes:
    """An uncompressed little-endian TIFF. pixels: (height, width, channels). tags: see the names below."""
    height, width, channels = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    names = {"orientation": 274, "extra_sample": 338}
    values = [
        (256, LONG, [width]),
        (257, LONG, [height]),
        (258, SHORT, [8 * pixels.itemsize] * channels),
        (259, SHORT, [1]),  # no compression
        (262, SHORT, [RGB if channels > 2 else GRAY]),
        (273, LONG, [0]),  # the place of the pixels, filled in below
        (277, SHORT, [channels]),
        (278, LONG, [height]),
        (279, LONG, [len(data)]),
        *((names[name], SHORT, [value]) for name, value in tags.items() if name in names),
        *((281, SHORT, [value] * channels) for name, value in tags.items() if name == "largest"),
    ]
    begin = 8 + 2 + 12 * len(values) + 4
    contents = [struct.pack(f"<{len(v)}{'H' if kind == SHORT else 'I'}", *v) for _, kind, v in values]
    place = begin + sum(len(content) for content in contents if len(content) > 4)
    entries, long_contents = b"", b""
    for (tag, kind, v), content in sorted(zip(values, contents, strict=True)):
        content = struct.pack("<I", place) if tag == 273 else content
        if len(content) > 4:
            long_contents, content = long_contents + content, struct.pack("<I", begin + len(long_contents))
        entries += struct.pack("<HHI", tag, kind, len(v)) + content.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<IH", 8, len(values))
    return head + entries + bytes(4) + long_contents + data
