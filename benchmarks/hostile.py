"""Hostile images by the hundred, and what became of them:  python -m benchmarks.hostile

Each family runs in a process of its own, so that a crash of the decoder would show as one. "decoded" is no
failure: a flipped bit in the pixels of a JPEG leaves a JPEG, and only the digest of the original tells.
"""

import io
import multiprocessing
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from benchmarks.photographs import machine
from pawline.pictures.decode import BadImage, decode_image

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]


def picture(format: str, mode: str = "RGB") -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (12, 16, 4), np.uint8)
    image = Image.fromarray(noise, "RGBA").resize((160, 120)).convert(mode)
    out = io.BytesIO()
    image.save(out, format)
    return out.getvalue()


def cut_off(format: str) -> Iterator[bytes]:
    data = picture(format)
    yield from (data[: len(data) * share // 200] for share in range(200))


def flipped_bits(format: str) -> Iterator[bytes]:
    rng = np.random.default_rng(2)
    for _ in range(200):
        data = bytearray(picture(format))
        for place in rng.integers(0, len(data), rng.integers(1, 12)):
            data[place] ^= 1 << int(rng.integers(8))
        yield bytes(data)


def random_tails(format: str) -> Iterator[bytes]:
    rng = np.random.default_rng(3)
    data = picture(format)
    yield from (data[:keep] + rng.bytes(2000) for keep in range(2, 102))


def claims(format: str) -> Iterator[bytes]:
    """Headers of ordinary files rewritten to sizes that nobody can hold."""
    sizes = [0, 1, 65535, 20_000, 100_000, 2**31 - 1, 2**32 - 1]
    for width in sizes:
        for height in sizes:
            yield png_header(width, height)
            data = bytearray(picture("JPEG"))
            at = data.index(b"\xff\xc0") + 5
            data[at : at + 4] = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
            yield bytes(data)


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def other_things(format: str) -> Iterator[bytes]:
    yield from (
        b"",
        b"\0",
        b"GIF89a",
        b"\xff\xd8\xff",
        b"%PDF-1.7",
        b"<svg/>",
        b"MZ",
        b"PK\x03\x04",
        b"hello\n" * 99,
    )
    yield b"\0\0\0\x18ftypheic" + bytes(100)
    yield from (np.random.default_rng(seed).bytes(5000) for seed in range(100))


def unusual_but_fine(format: str) -> Iterator[bytes]:
    yield from (
        picture(format, mode) for format, mode in [("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "P"), ("PNG", "1")]
    )
    yield from (
        picture(format, mode)
        for format, mode in [("JPEG", "CMYK"), ("JPEG", "L"), ("WEBP", "RGBA"), ("TIFF", "L")]
    )


def outcomes(
    family: Callable[[str], Iterator[bytes]], format: str, queue: "multiprocessing.Queue[Counter[str]]"
) -> None:
    counted: Counter[str] = Counter()
    for data in family(format):
        for color in ("grayscale", "rgb"):
            try:
                pixels = decode_image(data, 32, color)
                assert pixels.shape[:2] == (32, 32)
                counted["decoded"] += 1
            except BadImage as bad:
                counted[bad.reason] += 1
    queue.put(counted)


def run(family: Callable[[str], Iterator[bytes]], format: str) -> bool:
    """Print one line; return whether the process ended well."""
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.Queue()
    child = spawn.Process(target=outcomes, args=(family, format, queue))
    child.start()
    child.join(300)
    survived = child.exitcode == 0
    child.kill()
    counted = queue.get() if survived else Counter()
    text = ", ".join(f"{number} {outcome}" for outcome, number in counted.most_common())
    print(
        f"{family.__name__:<17}{format:<6}{counted.total():>4} tried: {text if survived else 'CRASHED'}",
        flush=True,
    )
    return survived


def main() -> None:
    print(machine())
    runs = [run(family, format) for family in (cut_off, flipped_bits, random_tails) for format in FORMATS]
    runs += [run(family, "") for family in (claims, other_things, unusual_but_fine)]
    print(f"{len(runs)} families, {runs.count(False)} crashes")


if __name__ == "__main__":
    main()
