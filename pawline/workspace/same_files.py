"""The files that git does not know of, brought into the workspace of a run with other params: the same source and the
same modules as in the checkout.

Where git tracks nothing below a source, a link leads to it. Where git tracks a part, the rest joins that part file by
file, as hard links: `dvc exp save` resets the tracked files, and through a link it would reset the user's own.
"""

import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath

from pawline.errors import ParamsError
from pawline.workspace.checkout import ask_git
from pawline.workspace.dag import is_relative
from pawline.workspace.layout import ISOLATED_NEST

TABLES = (".csv", ".parquet")
# Whatever lies here decides what a stage does.
CODE = ("pawline", "tasks", "flows", ".dvcignore")


def check_place(source: str, home: Path, key: str = "ingest.source") -> None:
    """Refuse a relative path that would not lead to the same file in a workspace; key: of the param that names it.
    Raises ParamsError."""
    if not is_relative(source):
        return
    parts, brought = PurePath(source).parts, PurePath(_brought(source)).parts
    if parts.count("..") >= len(ISOLATED_NEST.parts) or set(brought) <= {".."}:
        raise _cannot_be_brought(source, home, "leads too far out of the checkout", key)
    for place in _ways(_brought(source)):
        if (home / place).is_symlink() and ask_git(home, "ls-files", "--", str(place)):
            raise _cannot_be_brought(source, home, f"{place} is a link that git tracks", key)


def _cannot_be_brought(source: str, home: Path, reason: str, key: str = "ingest.source") -> ParamsError:
    absolute = (home / source).resolve()
    return ParamsError(
        f"{key} {source}: {reason}, so a run with other params cannot use it; make it absolute: {absolute}"
    )


def _brought(source: str) -> str:
    """The path that has to be there: of a table its folder, where the pictures are."""
    return str(PurePath(source).parent) if source.lower().endswith(TABLES) else source


def bring_source(source: str, home: Path, checkout: Path, outputs: Collection[str] = ()) -> None:
    """A relative source must be found under the same relative path, since that is what dvc.lock names.

    outputs: of the stages, which may stand beside a table. Raises ParamsError where git's files are not the user's.
    """
    if not is_relative(source) or not (home / source).exists():
        return
    brought = _brought(source)
    for place in _ways(brought):
        if os.path.lexists(checkout / place):
            continue
        if any(PurePath(os.path.normpath(place)) in PurePath(output).parents for output in outputs):
            (checkout / place).mkdir()  # stages write here: a link would lead them into the user's folder
            continue
        (checkout / place).symlink_to((home / place).resolve())
        return
    skip = {str(home / output) for output in outputs}
    _join(home / brought, checkout / brought, skip)
    if differing := _first_difference(home / brought, checkout / brought, skip):
        raise _cannot_be_brought(source, home, f"git would give another {differing} than the one in the checkout")


def _ways(path: str) -> list[Path]:
    """Each place on the way to a path, but for those that lead outwards."""
    parts = PurePath(path).parts
    ways = [Path(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    return [way for way in ways if way.name != ".."]


def _join(own: Path, there: Path, skip: Collection[str]) -> None:
    """Bring what is not there yet of a folder, or one file."""
    for file in _files(own, skip):
        place = there / file
        if not os.path.lexists(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            _bring_file(own / file, place)


def _bring_file(own: Path, there: Path) -> None:
    if own.is_symlink():
        there.symlink_to((own.parent / own.readlink()).absolute())
        return
    try:
        os.link(own, there)
    except OSError:  # on another disk
        shutil.copy2(own, there)


def _first_difference(own: Path, there: Path, skip: Collection[str]) -> str:
    """A file that one of the folders lacks or that has another size, as with git's filters or a sparse checkout."""
    sizes = {file: (own / file).lstat().st_size for file in _files(own, skip) if not (own / file).is_symlink()}
    for file in _files(there, ()):
        if not (there / file).is_symlink() and sizes.pop(file, None) != (there / file).lstat().st_size:
            return str(own / file)
    return str(own / next(iter(sizes))) if sizes else ""


def _files(folder: Path, skip: Collection[str]) -> Iterator[Path]:
    """Relative to the folder: its files, links among them, without git's own; of a file, the empty path."""
    if not folder.is_dir():
        yield Path()
        return
    for inner, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git" and f"{inner}/{name}" not in skip]
        links = [name for name in folders if Path(inner, name).is_symlink()]
        for name in [*files, *links]:
            if name != ".git" and f"{inner}/{name}" not in skip:
                yield Path(inner, name).relative_to(folder)


def bring_code(home: Path, checkout: Path) -> list[str]:
    """Copy what git does not track below the code folders, ignored files too. Returns the paths."""
    listed = ask_git(home, "ls-files", "-z", "--others", "--", *CODE).split("\0")
    brought = [path for path in listed if path and "__pycache__" not in path and not path.endswith(".pyc")]
    for path in brought:
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(home / path, checkout / path, follow_symlinks=False)
    return brought
