"""`pawline verify`: read every output again and compare it with `dvc.lock`.

`dvc status` trusts size and time of change, so a flipped bit passes it; here every byte is read. DVC's own MD5
digests are used, since they are the ones that are committed.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pawline.errors import DatasetError
from pawline.files import read_regular_file
from pawline.threads import num_threads
from pawline.workspace.lock import Cache, Output, read_lock


def add_command(commands: Any) -> None:
    command = commands.add_parser("verify", help="read every output again and compare it with dvc.lock")
    command.set_defaults(run=lambda arguments: verify())


def verify() -> int:
    """Print each output that differs, and a last line that counts. Returns 0, or 1 when any differs."""
    outputs, cache = read_lock(), Cache()
    expected = {path: md5 for out in outputs.values() for path, md5 in _expected_files(out, cache)}
    present = {str(file) for out in outputs.values() for file in _files_of(out)}
    with ThreadPoolExecutor(num_threads()) as pool:
        problems = dict(zip(expected, pool.map(_problem, expected, expected.values()), strict=True))
    differing = {path: problem for path, problem in problems.items() if problem}
    differing |= dict.fromkeys(present - set(expected), "is not part of the recorded output")
    for path, problem in sorted(differing.items()):
        print(f"{path}: {problem}")
    print(
        f"{len(expected)} files read, {len(differing)} differ from dvc.lock" + (f"; {REMEDY}" if differing else "")
    )
    return 1 if differing else 0


REMEDY = (
    "delete what differs and run `dvc checkout`, for DVC's cache holds the recorded content, "
    "or `git restore` for metrics/ and reports/*.csv, which git holds"
)


def _expected_files(out: Output, cache: Cache) -> Iterator[tuple[str, str]]:
    if not out.is_folder:
        yield out.path, out.md5
        return
    try:
        listing = cache.folder(out.md5)
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{out.path}: its list of files is not in DVC's cache ({error}); try `dvc fetch`"
        ) from None
    for inside, md5 in listing.items():
        yield f"{out.path}/{inside}", md5


def _files_of(out: Output) -> Iterator[Path]:
    root = Path(out.path)
    if out.is_folder:
        yield from (file for file in root.rglob("*") if not file.is_dir())


def _problem(path: str, md5: str) -> str:
    try:
        content = read_regular_file(Path(path))
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return "" if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5 else "is not what was recorded"
