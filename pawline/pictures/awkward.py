"""Pictures in the forms that programs often read differently, drawn by code: each way to ask a model is given them."""

import io
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from pawline.pictures.decode import ORIENTATION
from pawline.pictures.heif import heif_decoder

HEIGHT, WIDTH = 48, 64


def awkward_pictures() -> dict[str, bytes | str]:
    """The bytes of a file for each form; or the reason, in words, why this machine has none."""
    forms: dict[str, bytes | str] = {
        f"EXIF orientation {number}": _saved("JPEG", exif=_turned(number), quality=95) for number in range(1, 9)
    }
    drawn, clear = _drawn(), np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1).astype(np.uint8)
    forms["CMYK JPEG"] = _saved("JPEG", lambda image: image.convert("CMYK"), quality=95)
    forms["PNG with alpha"] = _encoded(".png", np.concatenate([drawn, clear], axis=2))
    forms["PNG of 16 bits"] = _encoded(".png", drawn.astype(np.uint16) * 257)
    forms["GIF of two frames"] = _saved("GIF", save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT))])
    for name in ("WebP", "AVIF"):
        has_it = features.check(name.lower())
        forms[name] = _saved(name, quality=90) if has_it else f"Pillow here writes no {name}"
    # No package of the project writes HEIC; the file was made once, of four coloured quarters, turned as by a phone.
    heic = files("pawline.pictures").joinpath("turned.heic").read_bytes()
    forms["HEIC"] = heic if heif_decoder() else "the package pi-heif is not installed"
    return forms


def _drawn() -> NDArray[np.uint8]:
    """A picture that no turn or mirror leaves as it is: uint8 (HEIGHT, WIDTH, 3)."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    ramps = np.stack([4 * across, 5 * down, 255 - 2 * across - 2 * down], axis=2)
    ramps[6:20, 8:24] = (230, 40, 20)
    return ramps.clip(0, 255).astype(np.uint8)


def _saved(form: str, change: Callable[[Image.Image], Image.Image] = lambda image: image, **options: Any) -> bytes:
    out = io.BytesIO()
    change(Image.fromarray(_drawn())).save(out, form, **options)
    return out.getvalue()


def _turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def _encoded(suffix: str, pixels: NDArray[Any]) -> bytes:
    return bytes(cv2.imencode(suffix, pixels)[1].tobytes())
