"""What tests plant into files, to look for it where it must not appear."""

from pathlib import Path

from PIL import Image


def plant_gps(file: Path) -> None:
    """Give a JPEG an EXIF block with a place and a path, both named PLANTED."""
    image = Image.open(file)
    exif = image.getexif()
    exif[0x010E] = "PLANTED-DESCRIPTION /home/ada/pictures"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 18: "PLANTED-GPS"})
    image.save(file, exif=exif)
    assert b"PLANTED-GPS" in file.read_bytes()
