"""A file that an argument such as --out names. One rule for every command: nothing but what Pawline made is replaced,
and a name that cannot be written to is refused before anything is computed."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pawline.addresses import is_address
from pawline.errors import ParamsError
from pawline.files import read_regular_file, write_text
from pawline.label_queue import is_queue
from pawline.terminal import printable
from pawline.workspace.checkout import ask_git, is_checkout
from pawline.workspace.dag import DVC_YAML, dag_of
from pawline.workspace.layout import Layout
from pawline.workspace.lock import LOCK

# Every page begins so: nothing is loaded, pictures stand in the page.
HEAD_OF_A_PAGE = (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
)


@dataclass(frozen=True)
class Kind:
    """What a command writes. noun: in messages; suffix: of the name; is_own: whether a file is of this kind."""

    noun: str
    suffix: str
    is_own: Callable[[Path], bool]


def is_page(file: Path) -> bool:
    """Whether a file begins as Pawline's pages do."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:  # of a page with all weights of a network, the whole would be much
        return stream.read(1000).lstrip().startswith(HEAD_OF_A_PAGE.encode())


def _is_report_data(file: Path) -> bool:
    try:
        content = json.loads(read_regular_file(file))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"findings", "headline", "provenance"} <= content.keys()


PAGE = Kind("page", ".html", is_page)
REPORT_DATA = Kind("report", ".json", _is_report_data)
QUEUE = Kind("queue", ".csv", is_queue)


def check_out(out: Path, *kinds: Kind, inputs: Sequence[Path] = (), option: str = "--out") -> None:
    """Raise ParamsError where a file cannot be written, or where writing it would cost the user another file.

    kinds: what the command writes, chosen by the suffix of the name. inputs: files that the command reads."""
    _refuse(out, _problems(out, kinds, inputs), option)


def check_out_folder(
    folder: Path, files: Sequence[Path], noun: str, is_own: Callable[[Path], bool], inputs: Sequence[Path]
) -> None:
    """The same for a folder that a command fills with `files`. The folder itself is made where it does not exist."""
    _refuse(folder, _problems_of_folder(folder), "--out")
    for file in files:
        _refuse(file, _problems_of_file(file, noun, is_own, inputs), "--out")


def write_out(out: Path, content: Any, write: Callable[[Path, Any], None] = write_text) -> None:
    """Write the file whole or not at all. A failure names this file, not the temporary one beside it.

    write: one of the functions of files.py, for this content."""
    try:
        write(out, content)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(out)) from None


def _refuse(out: Path, problems: Iterator[str], option: str) -> None:
    if problem := next(problems, ""):
        raise ParamsError(f"{printable(str(out))}: {problem}; name another with {option}")


def _problems(out: Path, kinds: tuple[Kind, ...], inputs: Sequence[Path]) -> Iterator[str]:
    kind = next((kind for kind in kinds if kind.suffix == out.suffix.lower()), kinds[0])
    if out.is_dir():
        yield "is a folder, expected a file"
    yield from _problems_of_file(out, kind.noun, kind.is_own, inputs)
    if out.suffix.lower() != kind.suffix:
        yield f"expected a name that ends in {' or '.join(kind.suffix for kind in kinds)}"
    if not out.parent.is_dir():
        yield "its folder does not exist"
    if not os.access(out.parent, os.W_OK):
        yield "its folder cannot be written to"


def _problems_of_folder(folder: Path) -> Iterator[str]:
    if os.path.lexists(folder) and not folder.is_dir():
        yield "is a file, expected a folder"
    if not folder.is_dir() and not folder.parent.is_dir():
        yield "the folder around it does not exist"
    if not os.access(folder if folder.is_dir() else folder.parent, os.W_OK):
        yield "cannot be written to"


def _problems_of_file(
    file: Path, noun: str, is_own: Callable[[Path], bool], inputs: Sequence[Path]
) -> Iterator[str]:
    if any(_is_same(file, one) for one in inputs):
        yield "is an input of this command"
    if keeper := _keeper(file):
        yield keeper
    if _holds_something(file) and not is_own(file):
        yield f"is not a {noun} of Pawline's and is not overwritten"


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _holds_something(file: Path) -> bool:
    """Whether there is anything to lose; an empty file, as `mktemp` makes it, is not."""
    return file.exists() and not (file.is_file() and file.stat().st_size == 0)


def _keeper(file: Path) -> str:
    """Who keeps a file of this name, or the file that a link leads to, in words; empty where nobody does."""
    places = {file.absolute(), Path(os.path.realpath(file))}
    lineage = {one for place in places for one in (place, *place.parents)}
    roots = {folder.resolve() for folder in {*lineage, Path()} if is_checkout(folder)}
    if any(not lineage.isdisjoint(_named_by_pipeline(root)) for root in roots):
        return "belongs to the pipeline"
    if any(ask_git(place.parent, "--literal-pathspecs", "ls-files", "--", place.name) for place in places):
        return "is tracked by git"
    added = any(one.name and one.with_name(f"{one.name}.dvc").is_file() for one in lineage)
    return "is tracked by DVC" if added else ""


def _named_by_pipeline(root: Path) -> set[Path]:
    """The files and folders of a checkout's pipeline, resolved: what stages read and write, params, dvc.yaml, its lock.

    Where params.yaml or dvc.yaml is damaged, the places that the code knows remain."""
    names = {DVC_YAML, str(LOCK), *map(str, vars(Layout()).values())}
    with suppress(Exception):  # the command itself may not need these files, and says what is wrong with them
        stages = dag_of(root).values()
        names |= {path for stage in stages for path in (*stage.deps, *stage.outs) if not is_address(path)}
    return {(root / name).resolve() for name in names}
