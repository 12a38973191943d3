"""Archives inside an archive, such as the zip of zips that Kaggle hands out: opened one level deep.

An inner archive must keep the same rules as the outer one, and all of them together must keep the limits of one.
"""

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pawline.sources.archive_rules import check_amount, check_names_differ, check_ratio, refuse
from pawline.sources.listing import Listing, Read
from pawline.terminal import listed

ARCHIVE_NAME = re.compile(r"\.(zip|tar|tar\.(gz|bz2|xz|zst)|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)
MAX_INNER = 200  # each keeps a file open

# Opens one archive by its path and its name in messages. Raises DatasetError for a file that is none.
OpenArchive = Callable[[Path, str], Listing]


def open_inner_archives(
    outer: Listing,
    name: str,
    num_packed: int,
    open_archive: OpenArchive,
    folder: Path,
    resources: ExitStack,
) -> Listing:
    """The files of an archive with those of the archives inside it. Raises DatasetError.

    name: the outer archive in messages. num_packed: its size in bytes. folder: where inner archives are kept until
    `resources` are closed.
    """
    inner_archives = [position for position, path in enumerate(outer.paths) if ARCHIVE_NAME.search(path)]
    if not inner_archives or outer.copy_to is None:
        return outer
    if len(inner_archives) > MAX_INNER:
        refuse(
            name,
            f"holds {len(inner_archives):,} archives, and no more than {MAX_INNER} are opened; "
            "unpack them, and set ingest.source to their folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="inner-", dir=folder)))
    files = {position: place / str(position) for position in inner_archives}
    outer.copy_to(files)
    opened: dict[int, Listing] = {}
    num_bytes = outer.num_bytes
    for position, file in files.items():
        if not file.exists():  # a link or a device, which stays a file with a problem
            continue
        opened[position] = open_archive(file, f"{name}: {outer.paths[position]}")
        num_bytes += opened[position].num_bytes
        check_ratio(num_bytes, num_packed, name)
        check_amount(sum(len(listing.paths) for listing in opened.values()), num_bytes, name)
    return _join(outer, opened, name) if opened else outer


def open_archives_of_folder(
    outer: Listing, folder: Path, open_archive: OpenArchive, follow_links: bool = False
) -> Listing:
    """The files of a folder with those of the archives in it, which are read where they lie. Raises DatasetError.

    follow_links: whether an archive may be a link out of the folder; else it stays closed, as a picture would.
    """
    real = folder.resolve()
    inner_archives = [
        position
        for position, path in enumerate(outer.paths)
        if ARCHIVE_NAME.search(path)
        and (folder / path).is_file()
        and (follow_links or (folder / path).resolve().is_relative_to(real))
    ]
    if not inner_archives:
        return outer
    if len(inner_archives) > MAX_INNER:
        refuse(
            folder, f"holds {len(inner_archives):,} archives, and no more than {MAX_INNER} are opened; unpack them"
        )
    opened = {
        number: open_archive(folder / outer.paths[number], f"{folder}/{outer.paths[number]}")
        for number in inner_archives
    }
    return replace(_join(outer, opened, str(folder)), folders=outer.folders)


def _join(outer: Listing, opened: dict[int, Listing], name: str) -> Listing:
    """One listing of the outer archive's other files and of the files of the inner archives."""
    kept = [position for position in range(len(outer.paths)) if position not in opened]
    prefixes = _prefixes({outer.paths[position]: inner for position, inner in opened.items()})
    paths = [outer.paths[position] for position in kept]
    for prefix, inner in zip(prefixes, opened.values(), strict=True):
        paths += [f"{prefix}{path}" for path in inner.paths]
    check_names_differ(paths, name)
    reads = partial(_reads, outer, np.array(kept, np.int64), list(opened.values()))
    unclear = {*outer.unclear_names}
    unclear_names = [number for number, position in enumerate(kept) if position in unclear]
    start = len(kept)
    for inner in opened.values():
        unclear_names += [start + position for position in inner.unclear_names]
        start += len(inner.paths)
    passed_over = sum((inner.passed_over for inner in opened.values()), outer.passed_over)
    return replace(
        outer,
        paths=paths,
        reads=reads,
        copy_to=None,
        folders=(),
        unclear_names=unclear_names,
        passed_over=passed_over,
        opened=listed([outer.paths[position] for position in opened], 5),
    )


def _prefixes(archives: dict[str, Listing]) -> list[str]:
    """The folder that each inner archive stands for: train.zip -> train/, but nothing where its files say so already.

    Numbered volumes that share one folder (takeout-001.zip, takeout-002.zip, each with Takeout/) are one set.
    """
    tops = {path: {inner_path.split("/", 1)[0] for inner_path in inner.paths} for path, inner in archives.items()}
    bases = [_volume(path) for path in archives]
    shared_tops = set.union(*tops.values()) if tops else set()
    are_volumes = len(bases) > 1 and len({*bases}) == 1 and len(shared_tops) == 1 and _have_folders(archives)
    prefixes = []
    for path in archives:
        stem = ARCHIVE_NAME.sub("", path)
        says_so = are_volumes or {top.lower() for top in tops[path]} == {PurePosixPath(stem).name.lower()}
        parent = "" if PurePosixPath(path).parent == PurePosixPath() else f"{PurePosixPath(path).parent}/"
        prefixes.append(parent if says_so else f"{stem}/")
    return prefixes


def _volume(path: str) -> str:
    return re.sub(r"[-_. ]*(part|vol)?[-_. ]*\d+$", "", ARCHIVE_NAME.sub("", path), flags=re.IGNORECASE)


def _have_folders(archives: dict[str, Listing]) -> bool:
    return all("/" in path for inner in archives.values() for path in inner.paths)


def _reads(
    outer: Listing, kept: NDArray[np.int64], inner_listings: Sequence[Listing], wanted: NDArray[np.bool_]
) -> Iterator[tuple[int, Read]]:
    in_outer = np.zeros(len(outer.paths), bool)
    in_outer[kept] = wanted[: len(kept)]
    for position, read in outer.reads(in_outer):
        yield int(np.searchsorted(kept, position)), read
    start = len(kept)
    for inner in inner_listings:
        for position, read in inner.reads(wanted[start : start + len(inner.paths)]):
            yield start + position, read
        start += len(inner.paths)
