"""Files among the outputs that Pawline did not write: DVC would delete them before the stage runs again."""

import os
from pathlib import Path

from pawline.errors import DatasetError
from pawline.workspace.layout import Layout
from pawline.workspace.lock import LOCK, Cache, read_lock

# Where most project templates keep photographs; Pawline neither reads nor writes there by itself.
INVITING = Path("data/raw")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".avif")


def check_outputs(root: Path) -> None:
    """Raise DatasetError where the folders of ingested and prepared pictures hold files that no stage wrote."""
    ingested = files_below(root / Layout().raw)
    _refuse(root / Layout().raw, ingested - _written(root) if ingested else set())
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


def _written(root: Path) -> set[str]:
    """What the last ingest wrote: its index says, else DVC's cache."""
    index = root / Layout().index
    if index.exists():
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return {*pq.read_table(index, columns=["path"])["path"].to_pylist()}
        except (OSError, pa.ArrowException, KeyError):
            pass
    try:
        recorded = read_lock(root / LOCK)[str(Layout().raw)]
        return {*Cache(root).folder(recorded.md5)}
    except Exception:  # noqa: BLE001 - nothing is known of an earlier ingest
        return set()
