"""What an archive may hold. Archives come from strangers, so they are read by our own rules, entry by entry:
an attack refuses the whole archive before anything is written (DatasetError), while a single entry that is
no plain file becomes a row with a problem (OSError on reading). docs/sources.md has the table.
"""

import unicodedata
from pathlib import Path
from typing import NoReturn

from pawline.errors import DatasetError
from pawline.index import is_litter_name
from pawline.listing import CONTROL_CHARACTER, first_repeated, leads_out, plain_path

# ImageNet has 1.4 million pictures and 160 GB: a few times that fits, and whatever claims more is no data set.
MAX_ENTRIES = 5_000_000
MAX_BYTES = 2**40
# Photographs hardly shrink, drawings and bitmaps do by 10 to 100; a bomb starts at 1000. Below the free size
# nothing can be filled up, and a small archive may hold anything: black pictures, say.
MAX_RATIO = 200
FREE_BYTES = 64 * 2**20

# No system opens a longer path. Names are kept in memory, and a bomb may be made of them too.
MAX_NAME = 4096

NOT_A_FILE = "a link or a device, not a regular file"


def safe_path(name: str, archive: Path | str) -> str:
    """The path of an archive's entry, if following it cannot leave the folder it is put in."""
    if leads_out(name):
        refuse(archive, f"entry {name!r} would be written outside its folder")
    if CONTROL_CHARACTER.search(name):
        refuse(archive, f"entry {name!r} has a control character")
    path = plain_path(name)
    if not 0 < len(path) <= MAX_NAME:
        refuse(archive, f"an entry has a name of {len(path):,} characters")
    return path


def is_visible(path: str) -> bool:
    return not any(is_litter_name(part) for part in path.split("/"))


def check_amount(num_entries: int, num_bytes: int, archive: Path | str) -> None:
    if num_entries > MAX_ENTRIES:
        refuse(archive, f"holds more than {MAX_ENTRIES:,} entries")
    if num_bytes > MAX_BYTES:
        refuse(archive, f"would take more than {MAX_BYTES // 2**30:,} GB")


def check_ratio(unpacked: int, packed: int, archive: Path | str) -> None:
    if unpacked > FREE_BYTES and unpacked > MAX_RATIO * packed:
        refuse(archive, f"unpacks to more than {MAX_RATIO} times its size, as only archive bombs do")


def check_names_differ(paths: list[str], archive: Path | str) -> None:
    """Refuse what one folder cannot hold, here or on a machine where case or Unicode form does not count."""
    folders = {folder for path in paths for folder in _parents(path)}
    if both := folders.intersection(paths):
        refuse(archive, f"'{min(both)}' is both a file and a folder")
    if same := first_repeated(paths, _folded) or first_repeated([*folders], _folded):
        first, second = sorted(same)
        if first == second:
            refuse(archive, f"holds '{first}' twice")
        refuse(archive, f"'{first}' and '{second}' differ by case or Unicode form only; rename one")
    folded = {_folded(folder) for folder in folders}
    if both := {path for path in paths if _folded(path) in folded}:
        refuse(archive, f"'{min(both)}' and a folder differ by case or Unicode form only; rename one")


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _folded(path: str) -> str:
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def refuse(archive: Path | str, problem: str) -> NoReturn:
    raise DatasetError(f"{archive}: {problem}; nothing was unpacked")
