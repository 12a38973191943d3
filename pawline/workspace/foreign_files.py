"""Files among the outputs that Pawline did not write: DVC would delete them before the stage runs again."""

import hashlib
import os
from pathlib import Path

from pawline.errors import DatasetError
from pawline.files import read_regular_file
from pawline.workspace.layout import Layout
from pawline.workspace.lock import LOCK, WHOLE, Cache, problem_of, read_lock

# Where most project templates keep photographs; Pawline neither reads nor writes there by itself.
INVITING = Path("data/raw")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".avif")


def check_outputs(root: Path) -> None:
    """Raise DatasetError where the folders of ingested and prepared pictures hold files that no stage wrote."""
    _refuse(root / Layout().raw, _not_ingested(root))
    prepared = files_below(root / Layout().prepared)  # a flat folder without a picture file
    _refuse(
        root / Layout().prepared, {file for file in prepared if "/" in file or file.lower().endswith(PICTURES)}
    )


def _refuse(place: Path, names: set[str]) -> None:
    if foreign := sorted(names):
        raise DatasetError(
            f"{place / foreign[0]}: Pawline did not write this file{_more(foreign)}, and the next run would delete it; "
            f"move your pictures to a folder of their own, such as {INVITING}, and set ingest.source to it"
        )


def note_of_unread(root: Path, source: str) -> str:
    """A line where pictures lie in data/raw, which is not the source."""
    number = len(files_below(root / INVITING))
    if not number or (root / source).resolve() in (
        (root / INVITING).resolve(),
        *(root / INVITING).resolve().parents,
    ):
        return ""
    return (
        f"{INVITING} holds {number} files that this run does not read, for ingest.source is {source}; "
        f"to train on them: dvc exp run -S ingest.source={INVITING}"
    )


def _more(foreign: list[str]) -> str:
    return f" (nor {len(foreign) - 1} others)" if len(foreign) > 1 else ""


def files_below(folder: Path) -> set[str]:
    """Relative paths, without hidden files, which are no pictures."""
    found = set()
    for inner, _, names in os.walk(folder):
        below = os.path.relpath(inner, folder)
        found |= {os.path.normpath(f"{below}/{name}") for name in names if not name.startswith(".")}
    return found


def _not_ingested(root: Path) -> set[str]:
    """The files of data/ingested that no ingest wrote.

    A picture that a decision leaves out is copied too and has no row in the index: its bytes are those of the decision,
    or, where the decision was taken back since, those that DVC recorded. The question that costs most comes last."""
    place = root / Layout().raw
    unknown = files_below(place)
    for names in (_in_index, _left_out, _recorded):
        if unknown:
            unknown -= names(root, unknown)
    return unknown


def _in_index(root: Path, unknown: set[str]) -> set[str]:
    """The names in the index of the last ingest; none where it cannot be read."""
    index = root / Layout().index
    if not index.exists():
        return set()
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return {*pq.read_table(index, columns=["path"])["path"].to_pylist()}
    except (OSError, pa.ArrowException, KeyError):
        return set()


def _left_out(root: Path, unknown: set[str]) -> set[str]:
    """The files with the bytes of a picture that data/relabel.csv leaves out."""
    from pawline.relabel import NO_CLASS, kept_decisions

    try:
        decisions = kept_decisions(root / Layout().relabel)
    except DatasetError:  # `ingest` refuses that file, and says why
        return set()
    digests = {one.digest for one in decisions if one.label == NO_CLASS}
    return {name for name in unknown if _digest(root / Layout().raw / name) in digests} if digests else set()


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(read_regular_file(file)).hexdigest()
    except OSError:
        return ""


def _recorded(root: Path, unknown: set[str]) -> set[str]:
    """The files that are still what the last ingest left in DVC's cache; none where nothing is known of one."""
    try:
        folder = read_lock(root / LOCK)[str(Layout().raw)]
        recorded = Cache(root).folder(folder.md5)
    except Exception:  # noqa: BLE001 - nothing is known of an earlier ingest
        return set()
    place = root / Layout().raw
    return {name for name in unknown & recorded.keys() if problem_of(place / name, recorded[name]) == WHOLE}
