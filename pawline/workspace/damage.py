"""What differs from `dvc.lock`: in the working tree, and in DVC's cache, which `dvc checkout` copies without a look.

`dvc status` trusts size and time of change, so a flipped bit passes it; here every byte is read. DVC's own MD5
digests are used, since they are the ones that are committed.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pawline.threads import num_threads
from pawline.workspace.dag import uncached_outputs
from pawline.workspace.lock import WHOLE, Cache, Output, problem_of, read_lock


@dataclass(frozen=True)
class Recorded:
    """A file that `dvc.lock` records, or a folder whose list of files cannot be read (`is_list`).

    file, kept: what is wrong with the file in the working tree and with its object in the cache; "" where it is whole.
    cached: whether DVC's cache should hold it; git holds the others.
    """

    path: str
    out: Output
    object: Path
    cached: bool
    is_list: bool
    file: str
    kept: str


@dataclass
class Findings:
    """is_anything_here: whether working tree or cache hold an output that DVC keeps; not so in a fresh clone."""

    num_files: int = 0
    num_objects: int = 0
    damaged: list[Recorded] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    is_anything_here: bool = True


def find_damage() -> Findings:
    """Read every output of the workspace and every object of DVC's cache that belongs to one."""
    outputs, cache, uncached = read_lock(), Cache(), uncached_outputs()
    lists = {out.path: cache.problem(out.md5) for out in outputs.values() if out.is_folder}
    files = [
        (path, md5, out)
        for out in outputs.values()
        if not lists.get(out.path)
        for path, md5 in _expected_files(out, cache)
    ]
    with ThreadPoolExecutor(num_threads()) as pool:
        problems = list(pool.map(lambda file: problem_of(Path(file[0]), file[1]), files))
        objects = sorted({md5 for _, md5, out in files if out.path not in uncached})
        kept = dict(zip(objects, pool.map(cache.problem, objects), strict=True))
    recorded = [
        Recorded(path, out, cache.path(md5), out.path not in uncached, False, file, kept.get(md5, WHOLE))
        for (path, md5, out), file in zip(files, problems, strict=True)
    ]
    unlisted = [
        Recorded(path, outputs[path], cache.path(outputs[path].md5), True, True, WHOLE, problem)
        for path, problem in lists.items()
        if problem
    ]
    return Findings(
        len(files),
        len(objects) + len(lists),
        sorted(unlisted + [one for one in recorded if one.file or one.kept], key=lambda one: one.path),
        _added((out for out in outputs.values() if not lists.get(out.path, "not a folder")), files),
        any(
            os.path.lexists(out.path) or cache.path(out.md5).exists()
            for out in outputs.values()
            if out.path not in uncached
        ),
    )


def _expected_files(out: Output, cache: Cache) -> Iterable[tuple[str, str]]:
    if not out.is_folder:
        return [(out.path, out.md5)]
    return [(f"{out.path}/{inside}", md5) for inside, md5 in cache.folder(out.md5).items()]


def _added(folders: Iterable[Output], files: Iterable[tuple[str, str, Output]]) -> list[str]:
    expected = {path for path, _, _ in files}
    present = {str(file) for out in folders for file in Path(out.path).rglob("*") if not file.is_dir()}
    return sorted(present - expected)
