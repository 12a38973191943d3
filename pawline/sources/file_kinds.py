"""Which files of a source are pictures: by name before they are read, by name and content after."""

from pathlib import PurePosixPath

from pawline.pictures.decode import BadImage, read_header


def _suffixes(words: str) -> frozenset[str]:
    return frozenset(f".{word}" for word in words.split())


# Camera RAW and other formats that Pawline cannot decode are pictures too: each becomes a row with a reason.
PICTURE_SUFFIXES = _suffixes(
    "jpg jpeg jpe jfif png apng webp bmp dib gif tif tiff avif jp2 j2k jxl ppm pgm pbm pnm heic heif hif tga "
    "ico psd dng cr2 cr3 crw nef nrw arw srf sr2 raf orf rw2 pef srw raw 3fr erf kdc dcr mrw x3f iiq dcm"
)

# What phones, cameras, photo services and labelling tools put beside pictures.
OTHER_SUFFIXES = _suffixes(
    "json jsonl xml xmp aae txt csv tsv yaml yml toml md rst html htm pdf doc docx xls xlsx parquet py ipynb m "
    "mat npy npz pkl h5 hdf5 db sqlite ini cfg log url lnk webloc thm pp3 dop on1 cos mov mp4 m4v avi mkv mpg "
    "mpeg 3gp mts m2ts wmv webm mp insv lrv wav mp3 m4a aac flac zip tar gz tgz bz2 xz zst rar 7z sha256 md5 "
    "part crdownload exe dll bat sh"
)

# How files of picture formats begin. A damaged picture has this start, whatever its name.
PICTURE_STARTS = (
    b"\xff\xd8\xff",
    b"\x89PNG",
    b"GIF8",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"\0\0\0\x0cjP  ",
    b"\xff\x4f\xff\x51",
)
PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heif", b"hevc", b"mif1", b"msf1", b"crx ")


def is_picture_name(path: str) -> bool:
    """Whether a name says that the file is a picture."""
    return _suffix(path) in PICTURE_SUFFIXES


def is_other_name(path: str) -> bool:
    """Whether a name says that the file is no picture: a sidecar, a video, a text."""
    return _suffix(path) in OTHER_SUFFIXES


def is_no_picture(path: str, data: bytes) -> bool:
    """Whether a file is no picture by its name and by its content.

    A name without an ending says nothing, as many data sets have such names: there only text is no picture.
    """
    suffix = _suffix(path)
    if suffix in PICTURE_SUFFIXES or _has_picture_content(data):
        return False
    return bool(suffix) and not suffix[1:].isdigit() or _is_text(data)


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _has_picture_content(data: bytes) -> bool:
    try:
        read_header(data)
    except BadImage as bad:
        is_webp = data.startswith(b"RIFF") and data[8:12] == b"WEBP"
        has_brand = data[4:8] == b"ftyp" and data[8:12] in PICTURE_BRANDS
        is_known = bad.reason in ("too_small", "too_large")  # Pillow also knows some formats of videos
        return is_known or is_webp or has_brand or data.startswith(PICTURE_STARTS)
    return True


def _is_text(data: bytes) -> bool:
    start = data[:4096]
    return bool(start) and not set(start) & {*range(9), *range(14, 32)}
