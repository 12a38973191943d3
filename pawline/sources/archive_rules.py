"""Rules for what an archive may hold. Archives come from strangers, so each entry is checked before it is read.

An attack makes the whole archive fail before anything is written (DatasetError). A single entry that is not a
regular file becomes a row with a problem (OSError when it is read). docs/sources.md has the table.
"""

from pathlib import Path
from typing import NoReturn

from pawline.errors import DatasetError
from pawline.files import LITTER, is_litter_name
from pawline.sources.listing import CONTROL_CHARACTER, first_repeated, folded, leads_out, plain_path

# ImageNet has 1.4 million pictures and 160 GB. The limits are several times larger; a larger archive is an attack.
MAX_ENTRIES = 5_000_000
MAX_BYTES = 2**40
# Compression shrinks photographs very little, drawings and bitmaps by a factor of 10 to 100, bombs by 1000 or more.
# Less than FREE_BYTES cannot fill a disk, so a small archive may have any ratio: black pictures, for example.
MAX_RATIO = 200
FREE_BYTES = 64 * 2**20

# No operating system opens a longer path. Names are kept in memory, so long names could fill it.
MAX_NAME = 4096

# Hidden names that say something to people; the others are counted together.
NAMED_LITTER = LITTER | {".ds_store"}

NOT_A_FILE = "a link or a device, not a regular file"


def safe_path(name: str, archive: Path | str) -> str:
    """Return an entry's path with parts joined by "/". Raises DatasetError where it could leave its folder."""
    if leads_out(name):
        refuse(archive, f"entry {name!r} would be written outside its folder")
    if CONTROL_CHARACTER.search(name):
        refuse(archive, f"entry {name!r} has a control character")
    path = plain_path(name)
    if not 0 < len(path) <= MAX_NAME:
        refuse(archive, f"an entry has a name of {len(path):,} characters")
    return path


def hidden_part(path: str) -> str:
    """What makes a file invisible: the first folder that is hidden or of a system, with a "/" behind it, or its own
    name as `hidden_name` gives it. Empty for a visible file."""
    *folders, name = path.split("/")
    folder = next((part for part in folders if is_litter_name(part)), "")
    return f"{folder}/" if folder else hidden_name(name)


def hidden_name(name: str) -> str:
    """The name of a hidden or system file, such as Thumbs.db; ".*" for names that each file has for itself, such as
    macOS's ._IMG_1.jpg. Empty for a visible one."""
    if not is_litter_name(name):
        return ""
    return name if name.lower() in NAMED_LITTER else ".*"


def is_visible(path: str) -> bool:
    """Whether no part of the path is hidden or the litter of a file manager."""
    return not any(is_litter_name(part) for part in path.split("/"))


def check_amount(num_entries: int, num_bytes: int, archive: Path | str) -> None:
    """Raise DatasetError for more entries or bytes than any data set has."""
    if num_entries > MAX_ENTRIES:
        refuse(archive, f"holds more than {MAX_ENTRIES:,} entries")
    if num_bytes > MAX_BYTES:
        refuse(archive, f"would take more than {MAX_BYTES // 2**30:,} GB")


def check_ratio(unpacked: int, packed: int, archive: Path | str) -> None:
    """Raise DatasetError where the unpacked bytes are too many for the packed ones: an archive bomb."""
    if unpacked > FREE_BYTES and unpacked > MAX_RATIO * packed:
        refuse(archive, f"unpacks to more than {MAX_RATIO} times its size, as only archive bombs do")


def check_names_differ(paths: list[str], archive: Path | str) -> None:
    """Raise DatasetError for paths that clash in one folder, also on systems that ignore case or Unicode form."""
    folders = {folder for path in paths for folder in _parents(path)}
    if clashing := folders.intersection(paths):
        refuse(archive, f"'{min(clashing)}' is both a file and a folder")
    if equal_paths := first_repeated(paths, folded) or first_repeated([*folders], folded):
        first, second = sorted(equal_paths)
        if first == second:
            refuse(archive, f"holds '{first}' twice")
        refuse(archive, f"'{first}' and '{second}' differ by case or Unicode form only; rename one")
    folded_folders = {folded(folder) for folder in folders}
    if clashing := {path for path in paths if folded(path) in folded_folders}:
        refuse(archive, f"'{min(clashing)}' and a folder differ by case or Unicode form only; rename one")


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def refuse(archive: Path | str, problem: str) -> NoReturn:
    """Raise DatasetError for the whole archive."""
    raise DatasetError(f"{archive}: {problem}; nothing was unpacked")
