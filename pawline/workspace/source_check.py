"""What DVC would stop at, wait for or lose, found before DVC starts: `make run`, the flow and `pawline why` ask here.

A source is a dependency, so DVC reads it before `ingest` does, and removes the outputs of the last `ingest` before it
notices that the source cannot be read.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pawline.addresses import is_address
from pawline.errors import DatasetError, ParamsError
from pawline.params.whole import load_params
from pawline.workspace.checkout import ask_git
from pawline.workspace.dag import Stage, dag_of, is_relative
from pawline.workspace.dvc_command import run_dvc
from pawline.workspace.foreign_files import check_outputs, note_of_unread
from pawline.workspace.layout import Layout
from pawline.workspace.lock import read_entries

NO_SOURCE = "no such folder or archive; set ingest.source in params.yaml"


def check_source(root: Path) -> str:
    """Raise ParamsError or DatasetError for what DVC cannot read. Returns the source of a checkout."""
    source = load_params(root / Layout().params).ingest.source
    _refuse_shorthand(source)
    dag_of(root)  # refuses a source among the outputs
    if not ask_git(root, "rev-parse", "--show-toplevel"):
        raise ParamsError(
            f"{root.absolute()}: not a git repository, which DVC needs: `git init`, then the same again"
        )
    check_outputs(root)
    if not is_address(source):
        _refuse_unreadable(root / source, root)
    return source


def check_before_repro(root: Path) -> None:
    """The same, and a source must be there: `dvc repro` would remove what the last ingest wrote, and then fail."""
    source = check_source(root)
    if is_address(source) or (root / source).exists():
        return
    message = _missing(root, source)
    if "ingest" in read_entries(root):
        message += ", or train on pulled data without it: `dvc repro --allow-missing`"
    raise DatasetError(message)


def _missing(root: Path, source: str) -> str:
    from pawline.sources.hints import hint_for_missing  # OpenCV, for which a run with its source has no use

    return f"{(root / source).absolute()}: {NO_SOURCE}{hint_for_missing(source)}"


def _refuse_shorthand(source: str) -> None:
    """DVC takes ~ and $HOME as they stand; a shell has not seen them."""
    absolute = os.path.expandvars(os.path.expanduser(source))  # noqa: PTH111 - pathlib knows no $HOME
    if absolute != source and not is_address(source):
        raise ParamsError(f"ingest.source {source}: ~ and $NAME are for a shell; write {absolute}")
    if source.startswith("~") or "$" in source.split("/")[0]:
        raise ParamsError(
            f"ingest.source {source}: ~ and $NAME are for a shell, and this one is not set; write the path"
        )


def notes(root: Path) -> list[str]:
    """What is worth a line, and stops nothing."""
    note = note_of_unread(root, load_params(root / Layout().params).ingest.source)
    return [note] if note else []


def warning_of_moving(root: Path) -> str:
    """What experiments in a folder of their own would not find of the source; empty where they find it all."""
    source = load_params(root / Layout().params).ingest.source
    if not is_relative(source) or _is_tracked(root, source):
        return ""
    return (
        f"ingest.source {source} is relative: `dvc exp run --temp` and `--queue` run in another folder and do not find "
        f"it there; for them write {(root / source).resolve()}"
    )


def _is_tracked(root: Path, source: str) -> bool:
    """Whether git knows every file of it."""
    tracked = ask_git(root, "ls-files", "--", source)
    return bool(tracked) and not ask_git(root, "ls-files", "--others", "--", source)


# What DVC cannot read


def _refuse_unreadable(source: Path, root: Path) -> None:
    found = list(_problems(source, root))
    if not found:
        return
    path, problem, advice = found[0]
    more = f" ({len(found) - 1} more such files)" if len(found) > 1 else ""
    name = os.fsencode(path).decode("utf-8", "backslashreplace")
    raise DatasetError(f"{ascii(name)[1:-1] if not name.isprintable() else name}: {problem}{more}; {advice}")


def _problems(source: Path, root: Path) -> Iterator[tuple[str, str, str]]:
    """The path, what is wrong with it and what to do, of each file that stops DVC or makes it wait for ever."""
    if not source.is_dir():
        if source.exists() and not source.is_file():
            yield str(source), "no regular file, and DVC would wait for it for ever", "name a folder or an archive"
        return
    in_checkout = root.resolve() in source.resolve().parents  # where DVC looks for stages
    waiting = [str(source)]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if problem := _problem(entry, in_checkout):
                        yield entry.path, *problem
                    elif entry.is_dir(follow_symlinks=False) and entry.name not in (".git", ".dvc", ".hg"):
                        waiting.append(entry.path)
        except OSError as error:
            yield folder, f"the folder cannot be listed: {error.strerror}", "make it readable, or move it away"


def _problem(entry: os.DirEntry[str], in_checkout: bool) -> tuple[str, str] | None:
    if not _is_utf8(entry.name):
        return (
            "its name is not UTF-8, and DVC stops at it",
            "rename it, or name an archive of the folder as ingest.source",
        )
    try:
        kind = entry.stat().st_mode
    except FileNotFoundError:
        if not entry.is_symlink():  # moved or deleted since the folder was listed, as half a download is
            return None
        return "a link whose target is missing, and DVC stops at it", "delete it, or bring its target back"
    except OSError as error:
        return f"{error.strerror}, and DVC stops at it", "delete it, or make it readable"
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        return "no regular file, and DVC would wait for it or stop at it", "move it out of the source"
    if not os.access(entry.path, os.R_OK):
        return "no permission to read it, and DVC stops at it", "make it readable, or move it out of the source"
    if entry.name == ".dvcignore" or (in_checkout and (entry.name == "dvc.yaml" or entry.name.endswith(".dvc"))):
        return "a file of DVC's own, which DVC stops at in a source", "move it out of the source"
    return None


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


# A checkout without the source: a colleague, a CI job, a worker that pulled the data


def without_source(root: Path, stage: Stage, changes: list[Any]) -> str:
    """Restore the data set that was pulled, if the source alone is not there, and return a line that says so.

    Empty where the source is there. Raises DatasetError where something else changed too."""
    source = load_params(root / Layout().params).ingest.source
    if source not in stage.deps and os.path.normpath(source) not in stage.deps:
        return ""
    if is_address(source) or (root / source).exists():
        return ""
    if stage.name not in read_entries(root) or _changed_besides(root, source, changes):
        raise DatasetError(_missing(root, source))
    groups = [change.get("changed outs", {}) for change in changes if isinstance(change, dict)]
    changed = [path for group in groups for path in group]
    if changed:
        try:
            run_dvc(root, "checkout", "--force", *changed)
        except Exception as error:
            raise DatasetError(
                f"{_missing(root, source)}, or get the data set of dvc.lock: `dvc pull {stage.name}`"
            ) from error
    return f"the source {source} is not here and was not looked at; the data set of dvc.lock is used"


def _changed_besides(root: Path, source: str, changes: list[Any]) -> bool:
    at = os.path.abspath(root / source)  # noqa: PTH100 - links kept, as by DVC
    for change in changes:
        if isinstance(change, str):
            return True
        for path in change.get("changed deps", {}):
            if os.path.abspath(root / path) != at:  # noqa: PTH100
                return True
    return False
