"""What to do with a source in which Pawline finds no classes: a form that it does not read is named, with a way out."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from shlex import quote

from pawline.pictures.decode import BadImage, read_header
from pawline.sources.file_kinds import is_picture_name
from pawline.sources.listing import display_path

FOLDER_PER_CLASS = "put each class in a folder of its own: <class>/*.jpg"

# Zips and tars are opened; these are not. Numbered ones are pieces of one archive.
CLOSED_ARCHIVE = re.compile(
    r"\.(7z|rar|z\d\d|r\d\d|\d\d\d|(zip|7z|rar|tar|tgz)\.part\w*|arj|lzh|cab|ace)$"
    r"|\.(zip|tgz|tar(\.\w{2,3})?)$",  # inside an archive inside an archive
    re.IGNORECASE,
)
ARRAYS = re.compile(
    r"\.(npz|npy|pkl|pickle|h5|hdf5|mat|tfrecords?|tfrecord-[-\w]+|arrow|lmdb|mdb|pt|pth|rec)$"
    r"|(^|/)(data_batch_\d|test_batch)(\.bin)?$|-ubyte(\.gz)?$",
    re.IGNORECASE,
)
BOXES = re.compile(
    r"(\.coco\.json|(^|/)instances_\w+\.json|(^|/)_annotations\.(csv|txt)|(^|/)Annotations/.*\.xml"
    r"|(^|/)labels/.*\.txt)$",
    re.IGNORECASE,
)
UNREAD_TABLE = re.compile(r"\.(xlsx?|xlsm|ods|numbers|json|txt|xml|ya?ml|sqlite|db)$", re.IGNORECASE)
CLASS_IN_NAME = re.compile(r"(?P<class_name>[^/]*[^/\d_ -])[-_ ]?\(?\d+\)?\.[^./]+$")

LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def hint(paths: Sequence[str]) -> str:
    """What to do, by the names of the files of a source without classes; the usual advice where no name says more."""
    if not paths:
        return "it holds no file; name the folder or archive that holds the pictures"
    found = next((text for find in _FORMS if (text := find(paths))), "")
    return found or FOLDER_PER_CLASS


def unpacking(name: str) -> str:
    """How to unpack an archive that Pawline does not open."""
    return f"unpack {display_path(name)!r} first, for example with `7z x {quote(display_path(name))}`"


def hint_for_file(file: Path) -> str:
    """What a file is that is no source, by its start and its name, and what to do; empty where that is unknown."""
    with file.open("rb") as stream:
        start = stream.read(4096)
    if start.startswith(LFS_POINTER):
        return "this is a pointer of Git LFS, not the file itself; let Git LFS fetch it (git lfs pull)"
    if start.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return "this is a web page, perhaps of a login or an error; download the file again"
    if start.startswith((b"7z\xbc\xaf\x27\x1c", b"Rar!")) or CLOSED_ARCHIVE.search(file.name):
        return f"{unpacking(file.name)}, and set ingest.source to the folder"
    if ARRAYS.search(file.name):
        return _arrays([file.name])
    if UNREAD_TABLE.search(file.name):
        return "save the table as CSV with the columns path,label, and set ingest.source to it"
    try:
        read_header(start)
    except BadImage as bad:
        if bad.reason == "not_an_image":
            return ""
    return "this is a single picture; set ingest.source to the folder of all pictures"


def hint_for_missing(source: str) -> str:
    """What may be meant by a path that does not exist, starting with "; "; empty where nothing is near."""
    bare = source.strip().strip("\"'").strip()
    if drive := re.match(r"([A-Za-z]):[\\/]", bare):
        rest = bare[3:].replace("\\", "/")
        return f"; this is a path of Windows: in WSL it is /mnt/{drive[1].lower()}/{rest}"
    if bare != source and bare and Path(bare).exists():
        return f"; write it without the quotes or spaces around it: {bare}"
    if "*" in source:
        return "; name the folder itself, without *"
    folder = Path(source).parent
    siblings = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    near = get_close_matches(Path(source).name.lower(), [name.lower() for name in siblings], n=1, cutoff=0.75)
    return f"; did you mean {folder / next(name for name in siblings if name.lower() == near[0])}?" if near else ""


def hint_for_compressed(name: str) -> str:
    """What a compressed file may be that cannot be read as a tar and is not called one; else empty."""
    if not re.search(r"(?<!\.tar)\.(gz|bz2|xz|zst)$", name, re.IGNORECASE):
        return ""
    file_name = PurePosixPath(name).name
    return _arrays([file_name]) or f"get it again, or {unpacking(file_name)}"


def _pointers(paths: Sequence[str]) -> str:
    names = [path for path in paths if path.endswith(".dvc")]
    if len(names) < len(paths) / 2:
        return ""
    return f"{display_path(names[0])!r} only stands for a file that is not here; fetch the files themselves"


def _closed_archives(paths: Sequence[str]) -> str:
    name = next(filter(CLOSED_ARCHIVE.search, sorted(paths)), "")
    return f"{unpacking(name)}, and set ingest.source to the folder" if name and not _has_pictures(paths) else ""


def _cache_of_hugging_face(paths: Sequence[str]) -> str:
    tops = {path.split("/", 1)[0] for path in paths}
    if not {"blobs", "snapshots"} <= tops:
        return ""
    return (
        "this is a cache of Hugging Face; set ingest.source to the folder below its snapshots/, and "
        "ingest.follow_links to true"
    )


def _tables_in_folders(paths: Sequence[str]) -> str:
    folders = sorted({str(PurePosixPath(path).parent) for path in paths if path.lower().endswith(".parquet")})
    if len(folders) < 2 or _has_pictures(paths):
        return ""
    return f"set ingest.source to one of its folders of Parquet files, such as {display_path(folders[0])!r}"


def _boxes(paths: Sequence[str]) -> str:
    name = next(filter(BOXES.search, sorted(paths)), "")
    if not name:
        return ""
    return (
        f"{display_path(name)!r} gives boxes or areas, and Pawline learns one class for a whole picture; export the "
        "set for classification (Roboflow: 'Folder Structure'), or write a labels.csv of path,label"
    )


def _arrays(paths: Sequence[str]) -> str:
    name = next(filter(ARRAYS.search, sorted(paths)), "")
    if not name:
        return ""
    return (
        f"{display_path(name)!r} holds arrays or records, not picture files; write each picture as a PNG into the "
        "folder of its class"
    )


def _shards(paths: Sequence[str]) -> str:
    if not any(path.endswith(".cls") for path in paths):
        return ""
    return "these are shards of WebDataset; unpack them, and write a labels.csv of path,label from the .cls files"


def _unread_tables(paths: Sequence[str]) -> str:
    names = [path for path in paths if UNREAD_TABLE.search(path) and not re.search("readme|licen", path.lower())]
    pictures = sum(map(is_picture_name, paths))
    if not pictures or not names or len(names) > 3:
        return ""
    return (
        f"if {display_path(names[0])!r} is the table of the pictures, save it as labels.csv with the columns "
        f"path,label; otherwise {FOLDER_PER_CLASS}"
    )


def _classes_in_names(paths: Sequence[str]) -> str:
    names = [found for path in paths if is_picture_name(path) and (found := CLASS_IN_NAME.search(path))]
    counts = Counter(found["class_name"] for found in names)
    if len(counts) < 2 or min(counts.values()) < 2:
        return ""
    example = names[0].group()
    return (
        f"if the names hold the classes ({display_path(example)!r}), write a labels.csv of path,label; otherwise "
        f"{FOLDER_PER_CLASS}"
    )


def _no_pictures(paths: Sequence[str]) -> str:
    if _has_pictures(paths):
        return ""
    return f"no file is called like a picture; {FOLDER_PER_CLASS}"


def _has_pictures(paths: Sequence[str]) -> bool:
    return any(map(is_picture_name, paths))


_FORMS: tuple[Callable[[Sequence[str]], str], ...] = (
    _pointers,
    _closed_archives,
    _cache_of_hugging_face,
    _tables_in_folders,
    _boxes,
    _arrays,
    _shards,
    _unread_tables,
    _classes_in_names,
    _no_pictures,
)
